from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.delimited import delimited_bytes, guard_formula, read_delimited, unguard_formula
from model.errors import InvalidInput

PATH = Path("a.csv")


def test_delimited_counts_lines_of_quoted_breaks() -> None:
    table = read_delimited('id,text\n1,"一\n二\n三"\n\n2,四\n', ".csv", PATH, "utf-8")
    assert [(row.line, row.cells["text"]) for row in table.rows] == [(2, "一\n二\n三"), (6, "四")]
    assert table.header == 1


def test_delimited_counts_lines_of_windows_files() -> None:
    table = read_delimited('id,text\r\n1,"一\r\n二"\r\n2,三\r\n', ".csv", PATH, "")
    assert [row.line for row in table.rows] == [2, 4]


@pytest.mark.parametrize("separator", [",", ";", "\t", "，", "|"])
def test_delimited_takes_separator_from_header(separator: str) -> None:
    table = read_delimited(separator.join(("id", "text")) + "\n" + separator.join(("1", "坏了")), ".csv", PATH, "")
    assert table.rows[0].cells == {"id": "1", "text": "坏了"}


def test_delimited_ragged_rows_are_reported() -> None:
    table = read_delimited("id,text\n1,灯坏了,没人修\n2\n3,好,\n", ".csv", PATH, "")
    assert [(p.line, p.level) for p in table.problems] == [(2, "error"), (3, "warning")]
    assert [row.line for row in table.rows] == [3, 4]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('id,text\n1,"没有结束\n2,三\n', "line 2: a quoted cell is never closed"),
        ('id,text\n1,"说"了"\n', "line 2:"),
        ("id,text,text\n", "two columns are called 'text'"),
        ("\n\n", "is empty"),
        (" , \n1,2", "is empty"),
    ],
)
def test_delimited_refuses(text: str, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        read_delimited(text, ".csv", PATH, "")


@pytest.mark.parametrize("cell", ["=1+1", "+86 电话", "-5度", "@店家", "＝1", "\t=1", "'=1", "''-1"])
def test_delimited_guards_formulas(cell: str) -> None:
    assert guard_formula(cell) == "'" + cell
    assert unguard_formula(guard_formula(cell)) == cell


@given(st.text())
@settings(deadline=None)
def test_delimited_guard_is_undone(cell: str) -> None:
    assert unguard_formula(guard_formula(cell)) == cell
    assert guard_formula(cell)[:1] not in {"=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r"}


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip), min_size=1, max_size=5),
    st.sampled_from([".csv", ".tsv"]),
)
@settings(deadline=None)
def test_delimited_gives_back_what_was_written(texts: list[str], suffix: str) -> None:
    data = delimited_bytes(["id", "text"], [["1", text] for text in texts], suffix)
    table = read_delimited(data.decode("utf-8-sig"), suffix, PATH, "")
    assert [row.cells["text"] for row in table.rows] == texts
