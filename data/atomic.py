"""Files that are complete or not there."""

from __future__ import annotations

from pathlib import Path

from model.atomic import atomic_bytes
from model.errors import InvalidInput


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside ``path``, then rename: whoever reads ``path`` sees the old or the new file.

    Raises InvalidInput when the folder is missing, ``path`` is no ordinary file, or the disk
    refuses; nothing is left behind then.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise InvalidInput(f"{path}: is no ordinary file; give the name of a file to write")
    try:
        with atomic_bytes(path) as stream:
            stream.write(data)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidInput(f"{path}: cannot be written: {reason}; nothing was changed there") from error
