"""Complaints as they come in, line by line: JSON rows or plain text, each checked, each with its line number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from model.classifier import Reading
from model.errors import InvalidInput

# The longest accepted text, every character escaped, has 1.2 MB; the rest is for other fields.
MAX_LINE_BYTES = 4_000_000
Read = Callable[[object], Reading]


@dataclass(frozen=True, slots=True)
class Row:
    """An accepted row; a plain line of text has no id."""

    line: int
    id: str | int | None
    reading: Reading


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be classified, and why. ``content`` is what stood there (not for logs)."""

    line: int
    reason: str
    content: str


def json_line(row: dict[str, Any]) -> str:
    """One line of JSONL; plain UTF-8 unless something in it cannot be written so (a lone surrogate)."""
    line = json.dumps(row, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(row)
    return line + "\n"


def lines(handle: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Line numbers from 1 and the lines that are not blank; None for one above ``MAX_LINE_BYTES``."""
    number = 0
    while line := handle.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")  # byte order mark
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = handle.readline(MAX_LINE_BYTES)
            yield number, None
        elif line.strip():
            yield number, line


def parse_rows(handle: BinaryIO, read: Read) -> Iterator[Row | BadRow]:
    """Rows of a JSONL file: objects with a unique ``id`` and a ``text``; other fields are ignored."""
    seen: set[str | int] = set()
    for number, raw in lines(handle):
        try:
            text = _decoded(raw)
            row = _json_object(text)
            identity = _identity(row)
            if identity is None:
                raise InvalidInput('no field "id"; give every row an id of its own')
            if identity in seen:
                raise InvalidInput(f"id {str(identity)[:80]!r} appeared before; give every row an id of its own")
            yield Row(number, identity, _text(row, read))
            seen.add(identity)
        except InvalidInput as error:
            yield BadRow(number, str(error), (raw or b"")[:2000].decode("utf-8", "replace").rstrip("\n"))


def parse_line(number: int, raw: bytes | None, read: Read) -> Row | BadRow:
    """One line of standard input: a JSON object with ``text`` and perhaps ``id``, else the text itself."""
    try:
        text = _decoded(raw)
        if text.lstrip().startswith("{"):
            try:
                row = _json_object(text)
            except InvalidInput:  # a sentence that begins with a brace
                return Row(number, None, read(text))
            return Row(number, _identity(row), _text(row, read))
        return Row(number, None, read(text))
    except InvalidInput as error:
        return BadRow(number, str(error), (raw or b"")[:2000].decode("utf-8", "replace").rstrip("\n"))


def _decoded(raw: bytes | None) -> str:
    if raw is None:
        raise InvalidInput(f"the line is longer than {MAX_LINE_BYTES:,} bytes; one row a line is expected")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "UTF-16" if utf16 else "GB18030"
        raise InvalidInput(
            f"not UTF-8; if the file is in {hint}, convert it: iconv -f {hint} -t UTF-8 OLD > NEW"
        ) from error


def _json_object(text: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except RecursionError as error:
        raise InvalidInput("not valid JSON: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(f"not valid JSON: {error.msg} at column {error.colno}") from error
    except ValueError as error:  # a number of thousands of digits
        raise InvalidInput("not valid JSON: a number is too long") from error
    if not isinstance(row, dict):
        raise InvalidInput('expected a JSON object with "id" and "text"')
    return row


def _identity(row: dict[str, Any]) -> str | int | None:
    identity = row.get("id")
    if identity is None or (isinstance(identity, (str, int)) and not isinstance(identity, bool) and identity != ""):
        return identity
    raise InvalidInput('"id" must be a string that is not empty, or a whole number')


def _text(row: dict[str, Any], read: Read) -> Reading:
    if "text" not in row:
        raise InvalidInput('no field "text"; name the column that holds the complaint "text"')
    return read(row["text"])
