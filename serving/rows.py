"""Complaints as they come in, line by line: JSON rows or plain text, each checked, each with its line number.

A row may carry what a request to the service may: ``channel``, ``industry``, ``received_at`` and ``history``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from model.classifier import Reading
from model.errors import InvalidInput
from serving.playbook import CaseContext
from serving.severity import CaseFacts

# The longest accepted text, every character escaped, has 1.2 MB; the rest is for other fields.
MAX_LINE_BYTES = 4_000_000
Read = Callable[[object], Reading]
_JSON_ROW = re.compile(r'\s*\{\s*["}]')
_TOLD = ("channel", "industry", "received_at", "history")


@dataclass(frozen=True, slots=True)
class Row:
    """An accepted row with what it tells beside its text; a plain line of text has no id."""

    line: int
    id: str | int | None
    reading: Reading
    facts: CaseFacts = field(default_factory=CaseFacts)
    context: CaseContext = field(default_factory=CaseContext)


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
    """Rows of a JSONL file: objects with a unique ``id`` and a ``text``; fields that kesu does not know are ignored."""
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
            yield Row(number, identity, _text(row, read), *_told(row))
            seen.add(identity)
        except InvalidInput as error:
            yield BadRow(number, str(error), (raw or b"")[:2000].decode("utf-8", "replace").rstrip("\n"))


def parse_line(number: int, raw: bytes | None, read: Read) -> Row | BadRow:
    """One line of standard input: a JSON object with ``text`` and perhaps ``id``, else the text itself."""
    try:
        text = _decoded(raw)
        if not _JSON_ROW.match(text):  # a sentence may begin with a brace, too
            return Row(number, None, read(text))
        row = _json_object(text)
        return Row(number, _identity(row), _text(row, read), *_told(row))
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
        # Some of its messages end in "at", as if a place followed.
        raise InvalidInput(f"not valid JSON: {error.msg.removesuffix(' at')} at column {error.colno}") from error
    except ValueError as error:  # a number of thousands of digits
        raise InvalidInput("not valid JSON: a number is too long") from error
    if not isinstance(row, dict):
        raise InvalidInput('expected a JSON object with "id" and "text"')
    return row


def _identity(row: dict[str, Any]) -> str | int | None:
    identity = row.get("id")
    if identity is None or (isinstance(identity, (str, int)) and not isinstance(identity, bool) and identity != ""):
        return identity
    raise InvalidInput('"id" must be a string that is not empty, or a whole number; write 42 or "42", not 42.0')


def _text(row: dict[str, Any], read: Read) -> Reading:
    if "text" not in row:
        raise InvalidInput('no field "text"; name the column that holds the complaint "text"')
    return read(row["text"])


def _told(row: dict[str, Any]) -> tuple[CaseFacts, CaseContext]:
    """What the row tells beside its text, checked as the service checks a request; empty cells tell nothing."""
    told = {name: row[name] for name in _TOLD if row.get(name) not in (None, "")}
    if not told:
        return CaseFacts(), CaseContext()
    # Imported here: most files have texts only, and pydantic costs a good part of a cold start.
    from pydantic import ValidationError

    from serving.schemas import ClassifyRequest
    from serving.validation import explained

    try:
        case = ClassifyRequest.model_validate({"text": "-", **told}).case("-")
    except ValidationError as error:
        found = explained(error.errors(include_url=False, include_context=False, include_input=False))
        raise InvalidInput(f"{found}; mend the field, or leave it out") from error
    return case.facts, CaseContext(case.channel, case.industry, case.received_at)
