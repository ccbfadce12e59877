"""JSON lines about requests, written by a thread of their own. No line ever holds a character of a complaint."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import threading
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import orjson
import structlog

# Beyond this many unwritten lines new ones are dropped and counted: a full disk or a stopped
# reader of the pipe must not stop the service, nor fill its memory.
MAX_LINES = 10_000


class Log(Protocol):
    """What the service needs of a logger: an event's name and its fields."""

    def info(self, event: str, /, **fields: Any) -> Any:
        """Something expected."""
        ...

    def error(self, event: str, /, **fields: Any) -> Any:
        """A fault of the service."""
        ...


class LineWriter:
    """Writes lines to ``stream`` (None: nowhere) from its own thread; counts in ``dropped`` those it could not."""

    def __init__(self, stream: BinaryIO | None):
        self.dropped = 0
        self._stream = stream
        self._lines: queue.Queue[bytes | None] = queue.Queue(MAX_LINES)
        self._thread = threading.Thread(target=self._write, name="kesu-log", daemon=True)
        self._thread.start()

    def info(self, line: bytes) -> None:
        """Take a line; never waits, never fails."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    error = warning = critical = debug = info

    def close(self, timeout: float = 2.0) -> None:
        """Write what has been taken, for at most ``timeout`` seconds."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
            self._thread.join(timeout)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._stream is None:
                continue
            try:
                self._stream.write(line + b"\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):  # disk full, pipe or stream closed
                self.dropped += 1


def _dumps(fields: dict[str, Any], **_: Any) -> bytes:
    return orjson.dumps(fields, default=lambda value: type(value).__name__)


def make_log(writer: LineWriter) -> Log:
    """A structlog logger for ``writer``; leaves structlog's global configuration alone."""
    log: Log = structlog.wrap_logger(
        writer,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return log


class Forward(logging.Handler):
    """Hands the lines of other libraries to ``log``: of an exception only type and place, its message may quote."""

    def __init__(self, log: Log):
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        tell = self._log.error if record.levelno >= logging.ERROR else self._log.info
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            tell("library", logger=record.name, message=str(record.msg)[:200], **fault(error))
        elif record.levelno < logging.ERROR or record.name.startswith("uvicorn"):
            tell("library", logger=record.name, message=record.getMessage()[:200])
        else:
            tell("library", logger=record.name, message=str(record.msg)[:200])


def fault(error: BaseException) -> dict[str, str]:
    """Type and place of an exception, without its message."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
    return {"error": type(error).__name__, "where": where}


def text_hash(text: str) -> str:
    """Sixteen hex digits that tell equal texts, and nothing else about them."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
