"""Excel workbooks; rows are counted as Excel counts them."""

from __future__ import annotations

import dataclasses
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import python_calamine
import xlsxwriter

from data.delimited import table_of_records
from data.problems import Problem
from data.raw import RawTable, as_text
from model.errors import InvalidInput

# Bounds on what a workbook may unpack to: a few kilobytes can be made to fill the memory.
MAX_UNPACKED = 512 << 20
MAX_RATIO = 200
MAX_CELLS = 20_000_000
# Excel's own limits.
MAX_EXCEL_ROWS = 1_048_576
MAX_CELL_CHARACTERS = 32_767
# Whole numbers beyond this are no counts or ids, and do not fit into the 64 bits of other formats.
_LARGEST_WHOLE = 1 << 63
_SMALL = 1 << 20
_CHUNK = 1 << 20
# Cells that hold something; formatted empty ones close themselves and take no memory.
_CELL = re.compile(rb"""<(?:\w+:)?c\s[^>]*?\br=["']([A-Z]{1,3})(\d{1,7})["'](?:[^>]*[^/>])?>""")


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _extent(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Cells of the rectangle a sheet spans, which is what reading it takes in memory; 0 for other entries.

    Reads the entry to its end, so that a size or checksum that lies comes out as BadZipFile.
    """
    is_sheet = entry.filename.startswith("xl/worksheets/")
    width = height = 0
    rest = b""
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK):
            block = rest + chunk
            for letters, row in _CELL.findall(block) if is_sheet else ():
                width = max(width, _column_number(letters))
                height = max(height, int(row))
            # Enough to hold a cell's opening tag cut by the chunk; seeing one twice does no harm.
            rest = block[-256:]
    return width * height


def _refuse_bombs(data: bytes, path: Path) -> None:
    too_large = f"{path}: unpacks to far more than a table of texts; save only the rows and columns needed"
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                if entry.flag_bits & 0x1:
                    raise InvalidInput(f"{path}: is protected by a password; save it without one")
                if entry.file_size > _SMALL and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
                    raise InvalidInput(too_large)
            if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED:
                raise InvalidInput(too_large)
            if any(_extent(archive, entry) > MAX_CELLS for entry in archive.infolist()):
                raise InvalidInput(too_large)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise InvalidInput(f"{path}: is no readable Excel workbook: {error}; save it again as .xlsx") from error


def _whole(cell: Any) -> Any:
    """A whole number as one: a workbook keeps every number as a float, and 42.0 is no id."""
    is_whole = isinstance(cell, float) and cell.is_integer() and abs(cell) < _LARGEST_WHOLE
    return int(cell) if is_whole else cell


def _records(sheet: python_calamine.CalamineSheet) -> Iterator[tuple[int, list[Any]]]:
    first, _ = sheet.start or (0, 0)
    for number, record in enumerate(sheet.to_python(skip_empty_area=True), first + 1):
        if any(as_text(cell).strip() for cell in record):
            yield number, [_whole(cell) for cell in record]


def read_workbook(data: bytes, path: Path, sheet: str | None = None) -> RawTable:
    """The table in one sheet: the one called ``sheet``, else the first that holds anything.

    Other sheets with content are named in a warning. Raises InvalidInput for a damaged,
    protected, empty or monstrous workbook and for an unknown sheet.
    """
    if data[:2] == b"PK":
        _refuse_bombs(data, path)
    try:
        with python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            names = list(workbook.sheet_names)
            if sheet is not None and sheet not in names:
                raise InvalidInput(f"{path}: has no sheet {sheet!r}; its sheets are {', '.join(names)}")
            tables = [(name, workbook.get_sheet_by_name(name)) for name in names]
            filled = [(name, content) for name, content in tables if content.start is not None]
            chosen = next((pair for pair in filled if sheet in (None, pair[0])), None)
            if chosen is None:
                raise InvalidInput(f"{path}: is empty; expected a row of column names and rows of texts")
            others = tuple(name for name, _ in filled if name != chosen[0]) if sheet is None else ()
            problems: list[Problem] = []
            if others:
                message = f"only sheet {chosen[0]!r} was read; not read: {', '.join(others)}"
                problems.append(Problem(str(path), 0, "", "warning", message, "choose another with --sheet"))
            table = table_of_records(_records(chosen[1]), path, problems=problems)
            return dataclasses.replace(table, unread=others, from_workbook=True)
    except (python_calamine.CalamineError, OSError) as error:
        raise InvalidInput(f"{path}: is no readable Excel workbook: {error}; save it again as .xlsx") from error


def workbook_bytes(columns: Sequence[str], rows: Sequence[Sequence[Any]], path: Path) -> bytes:
    """An XLSX workbook of one sheet. Text is written as text and stays text when edited.

    Raises InvalidInput for what Excel cannot hold; ``path`` is only named there.
    """
    if len(rows) + 1 > MAX_EXCEL_ROWS:
        raise InvalidInput(f"{path}: {len(rows):,} rows do not fit into a sheet of {MAX_EXCEL_ROWS:,}; write CSV")
    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(buffer, options) as workbook:
        sheet = workbook.add_worksheet("texts")
        bold = workbook.add_format({"bold": True})
        # Excel's own form of the leading apostrophe: no formula, not even after an edit, and no change to the text.
        text = workbook.add_format({"quote_prefix": True})
        for row, record in enumerate((columns, *rows)):
            for column, cell in enumerate(record):
                if isinstance(cell, bool) or not isinstance(cell, int | float | str):
                    cell = as_text(cell)
                if isinstance(cell, int | float):
                    sheet.write_number(row, column, cell)
                elif len(cell) > MAX_CELL_CHARACTERS:
                    limit = f"a cell of Excel holds {MAX_CELL_CHARACTERS:,} characters"
                    raise InvalidInput(
                        f"{path}: row {row + 1}: {limit}, this text has {len(cell):,}; write CSV or JSONL"
                    )
                elif cell:
                    sheet.write_string(row, column, cell, text if row else bold)
        sheet.freeze_panes(1, 0)
    return buffer.getvalue()
