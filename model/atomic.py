"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[TextIO]:
    """A UTF-8 text file that takes ``path``'s place once the block ends without an error.

    Until then it lies beside ``path`` under a hidden name, so that a full disk, an error or
    Ctrl-C leaves what was at ``path`` untouched. A symbolic link is followed, not replaced.
    Raises OSError as ``open`` and ``write`` do.
    """
    target = path.resolve()
    partial = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("x", encoding="utf-8", newline="\n") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        partial.replace(target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
