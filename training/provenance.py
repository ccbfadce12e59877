"""Which code made a model or measured one."""

from __future__ import annotations

import subprocess
from pathlib import Path

UNKNOWN = "unknown"


def commit(folder: Path = Path(__file__).parent) -> str:
    """Commit of the checkout that ``folder`` lies in, with "+" when it was changed since; "unknown" outside one."""
    answers = []
    for arguments in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--untracked-files=no"]):
        try:
            done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):  # no git here, or a disk that does not answer
            return UNKNOWN
        if done.returncode:
            return UNKNOWN
        answers.append(done.stdout.strip())
    return answers[0] + ("+" if answers[1] else "")
