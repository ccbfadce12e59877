"""What README shows works as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
TEXTS = ["快递丢了，客服一直不理我，要求赔偿", "谢谢，已经修好了"]


def block(section: str, language: str) -> str:
    """The first block of code in ``language`` under a heading."""
    found = re.search(rf"## {section}\n.*?```{language}\n(.*?)```", README, re.DOTALL)
    assert found, (section, language)
    return found[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder, with the files that README speaks of."""
    rows = [json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(TEXTS)]
    (tmp_path / "complaints.jsonl").write_text("".join(rows), encoding="utf-8")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_commands_run_as_they_stand(folder: Path) -> None:
    said = run(["bash", "-euo", "pipefail", "-c", block("Use it", "sh")], folder)
    labels = [json.loads(line) for line in (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in labels] == [0, 1]
    assert "service.delivery" in labels[0]["causes"]
    assert "service.delivery" in said
    assert "customer.misuse" in said, "kesu taxonomy lists every label"


@pytest.mark.slow
def test_python_runs_as_it_stands(folder: Path) -> None:
    said = run([sys.executable, "-c", block("Use it", "python")], folder)
    assert "service.delivery" in said
    assert len(said.splitlines()) == 2
