"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.problems import Problem, one_line
from data.raw import RawRow, RawTable
from model.errors import InvalidInput


def _object(line: str) -> dict[str, Any] | str:
    """The object on a line, or what is wrong with it."""
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        return f"not valid JSON at character {error.pos + 1}: {error.msg}"
    except (ValueError, RecursionError) as error:
        return f"not valid JSON: {one_line(str(error), 60)}"
    if not isinstance(value, dict):
        return f"expected an object, found {one_line(line)}"
    return value


def read_jsonl(text: str, path: Path, encoding: str) -> RawTable:
    """The rows of a JSONL text; lines that hold no object are errors. Raises InvalidInput if all is blank."""
    columns: dict[str, None] = {}
    rows: list[RawRow] = []
    problems: list[Problem] = []
    # Not str.splitlines: it also breaks at U+2028 and others, which may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        value = _object(line)
        if isinstance(value, str):
            fix = 'write one {"id": …, "text": …} a line'
            problems.append(Problem(str(path), number, "", "error", value, fix))
            continue
        columns.update(dict.fromkeys(value))
        rows.append(RawRow(number, value))
    if not rows and not problems:
        raise InvalidInput(f'{path}: is empty; expected one {{"id": …, "text": …}} a line')
    return RawTable(tuple(columns), tuple(rows), encoding=encoding, problems=tuple(problems))


def jsonl_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """JSONL in UTF-8, characters as they are; half an emoji becomes the escape that JSON has for it."""
    return "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows).encode(
        "utf-8", "backslashreplace"
    )
