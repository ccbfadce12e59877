"""Files that are complete or not there."""

from __future__ import annotations

import os
from pathlib import Path

from model.errors import InvalidInput


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside ``path``, then rename: whoever reads ``path`` sees the old or the new file.

    Raises InvalidInput when the folder is missing, ``path`` is no ordinary file, or the disk
    refuses; nothing is left behind then.
    """
    # A link stays a link: what it points to is replaced.
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise InvalidInput(f"{path}: is no ordinary file; give the name of a file to write")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise InvalidInput(f"{path}: cannot be written: {reason}; nothing was changed there") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
