from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.atomic import write_atomically
from model.errors import InvalidInput


@contextlib.contextmanager
def tiny_disk() -> Iterator[None]:
    """No file may grow beyond 1,000 bytes, as on a full disk.

    Only around the one call: pytest's own output may go to a file, too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_atomic_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old")
    match = r"a\.csv: cannot be written: File too large; nothing was changed"
    with pytest.raises(InvalidInput, match=match), tiny_disk():
        write_atomically(path, bytes(5000))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.csv", b"new")
    assert not list(tmp_path.iterdir())


def test_atomic_refuses_missing_folders_and_devices(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file or directory"):
        write_atomically(tmp_path / "no" / "a.csv", b"x")
    with pytest.raises(InvalidInput, match="no ordinary file"):
        write_atomically(Path("/dev/null"), b"x")
    with pytest.raises(InvalidInput, match="no ordinary file"):
        write_atomically(tmp_path, b"x")


def test_atomic_writes_through_links(tmp_path: Path) -> None:
    target, link = tmp_path / "a.csv", tmp_path / "link.csv"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
