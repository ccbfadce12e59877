from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from data import workbook
from data.workbook import read_workbook, workbook_bytes
from model.errors import InvalidInput

PATH = Path("a.xlsx")


def book(sheets: dict[str, list[list[object]]], top: int = 0) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as file:
        for name, rows in sheets.items():
            sheet = file.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(top + number, 0, row)
    return buffer.getvalue()


def with_sheet(data: bytes, content: bytes) -> bytes:
    """The workbook with the XML of its first sheet replaced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, content if "sheet1.xml" in entry.filename else old.read(entry))
    return buffer.getvalue()


def test_workbook_counts_rows_as_excel_does() -> None:
    table = read_workbook(book({"a": [["id", "text"], [1, "灯坏了"], [], [2.0, "门坏了"]]}, top=2), PATH)
    assert table.header == 3
    assert [(row.line, row.cells["text"]) for row in table.rows] == [(4, "灯坏了"), (6, "门坏了")]


def test_workbook_reads_the_first_filled_sheet_and_names_the_others() -> None:
    data = book({"空": [], "甲": [["text"], ["一"]], "乙": [["text"], ["二"]]})
    table = read_workbook(data, PATH)
    assert table.rows[0].cells["text"] == "一"
    assert "乙" in table.problems[0].message
    told = read_workbook(data, PATH, "乙")
    assert told.rows[0].cells["text"] == "二"
    assert not told.problems
    with pytest.raises(InvalidInput, match="no sheet '丙'; its sheets are 空, 甲, 乙"):
        read_workbook(data, PATH, "丙")


def test_workbook_writes_no_formulas() -> None:
    data = workbook_bytes(["text", "severity"], [["=1+1", 2], ["-5度", 3], ["http://a.b", True]], PATH)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        assert b"quotePrefix" in archive.read("xl/styles.xml")
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert [tuple(row.cells.values()) for row in read_workbook(data, PATH).rows] == [
        ("=1+1", 2.0),
        ("-5度", 3.0),
        ("http://a.b", "true"),
    ]


# XML cannot hold most control characters; Excel's escape for them is the library's business.
@given(
    st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn"))).filter(str.strip), min_size=1, max_size=4)
)
@settings(max_examples=40, deadline=None)
def test_workbook_gives_back_what_was_written(texts: list[str]) -> None:
    table = read_workbook(workbook_bytes(["text"], [[text] for text in texts], PATH), PATH)
    assert [row.cells["text"] for row in table.rows] == texts


def test_workbook_refuses_what_excel_cannot_hold() -> None:
    with pytest.raises(InvalidInput, match="row 2: a cell of Excel holds 32,767"):
        workbook_bytes(["text"], [["长" * 32_768]], PATH)


@pytest.mark.parametrize("data", [b"PK\x03\x04garbage", b"no zip at all", b"\xd0\xcf\x11\xe0" + bytes(600)])
def test_workbook_refuses_damaged_files(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="no readable Excel workbook"):
        read_workbook(data, PATH)


def test_workbook_refuses_truncated_files() -> None:
    data = book({"a": [["text"], ["一"]]})
    with pytest.raises(InvalidInput, match="no readable Excel workbook"):
        read_workbook(data[: len(data) // 2], PATH)


@pytest.mark.parametrize("sheets", [{"a": []}, {"a": [[" "]]}])
def test_workbook_refuses_empty_ones(sheets: dict[str, list[list[object]]]) -> None:
    with pytest.raises(InvalidInput, match="is empty"):
        read_workbook(book(sheets), PATH)


def test_workbook_refuses_zip_bombs() -> None:
    bomb = with_sheet(book({"a": [["text"]]}), b"<worksheet>" + b" " * (40 << 20) + b"</worksheet>")
    assert len(bomb) < 1 << 20
    with pytest.raises(InvalidInput, match="unpacks to far more"):
        read_workbook(bomb, PATH)


@pytest.mark.parametrize("last", ['<c r="XFD1048576"><v>1</v></c>', '<c s="1" r="XFD1048576" t="n"><v>1</v></c>'])
def test_workbook_refuses_sheets_that_span_everything(last: str) -> None:
    sheet = (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        f'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576">{last}</row></sheetData></worksheet>'
    )
    with pytest.raises(InvalidInput, match="unpacks to far more"):
        read_workbook(with_sheet(book({"a": [["text"]]}), sheet.encode()), PATH)


def test_workbook_formatted_empty_cells_take_no_room() -> None:
    sheet = (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>'
        '<row r="2"><c r="A2" t="inlineStr"><is><t>灯坏了</t></is></c></row>'
        '<row r="1048576"><c r="XFD1048576" s="0"/></row></sheetData></worksheet>'
    )
    table = read_workbook(with_sheet(book({"a": [["text"]]}), sheet.encode()), PATH)
    assert [row.cells["text"] for row in table.rows] == ["灯坏了"]


def test_workbook_total_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_UNPACKED", 1000)
    with pytest.raises(InvalidInput, match="unpacks to far more"):
        read_workbook(book({"a": [["text"], ["一"]]}), PATH)
