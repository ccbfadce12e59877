"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, TextIO


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[TextIO]:
    """A UTF-8 text file that takes ``path``'s place once the block ends without an error.

    Until then it lies beside ``path`` under a hidden name, so that a full disk, an error or
    Ctrl-C leaves what was at ``path`` untouched. A symbolic link is followed, not replaced.
    Raises OSError as ``open`` and ``write`` do.
    """
    with _replacing(path) as partial, partial.open("x", encoding="utf-8", newline="\n") as handle:
        yield handle
        _settle(handle)


@contextlib.contextmanager
def atomic_bytes(path: Path) -> Iterator[BinaryIO]:
    """As :func:`atomic_writer`, for bytes."""
    with _replacing(path) as partial, partial.open("xb") as handle:
        yield handle
        _settle(handle)


def _settle(handle: IO[Any]) -> None:
    handle.flush()
    os.fsync(handle.fileno())


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    target = path.resolve()
    partial = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
