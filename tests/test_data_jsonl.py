from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.jsonl import jsonl_bytes, read_jsonl
from model.errors import InvalidInput

PATH = Path("a.jsonl")


def test_jsonl_reports_bad_lines_and_keeps_the_rest() -> None:
    lines = ['{"text": "一"}', "", "{bad", "[1]", "3", "[" * 100_000, '{"text": "二\u2028三", "x": 1}']
    table = read_jsonl("\n".join(lines), PATH, "utf-8")
    assert [(row.line, row.cells["text"]) for row in table.rows] == [(1, "一"), (7, "二\u2028三")]
    assert [problem.line for problem in table.problems] == [3, 4, 5, 6]
    assert table.columns == ("text", "x")


def test_jsonl_blank_is_empty() -> None:
    with pytest.raises(InvalidInput, match="is empty"):
        read_jsonl("\n \n", PATH, "utf-8")


def test_jsonl_writes_half_an_emoji_as_an_escape() -> None:
    data = jsonl_bytes([{"text": "好\ud83d"}])
    assert json.loads(data) == {"text": "好\ud83d"}
    assert "好".encode() in data
