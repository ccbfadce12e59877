"""CSV and TSV, with the line numbers an editor shows and the guard Excel needs."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data.problems import Problem
from data.raw import RawRow, RawTable, as_text
from model.errors import InvalidInput

# A cell that a spreadsheet would run as a formula (OWASP "CSV injection"), full-width signs
# included; a leading apostrophe makes it text. Cells that look guarded already are guarded once more, so that
# taking one apostrophe off again always gives the cell back.
_FORMULA = re.compile(r"'*[=+\-@＝＋－＠\t\r]")
_GUARDED = re.compile(r"'+[=+\-@＝＋－＠\t\r]")
_DELIMITERS = (",", "\t", ";", "，", "|")


def guard_formula(cell: str) -> str:
    """``cell`` with an apostrophe in front if a spreadsheet would run it."""
    return "'" + cell if _FORMULA.match(cell) else cell


def unguard_formula(cell: str) -> str:
    """The inverse of :func:`guard_formula`."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _delimiter(text: str, suffix: str) -> str:
    if suffix == ".tsv":
        return "\t"
    header = text[: text.find("\n")] if "\n" in text else text
    return max(_DELIMITERS, key=header.count)


def _records(text: str, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Records with the line on which each begins; a quoted cell may span several lines."""
    # The limit is global in csv and smaller than a text may be; over-long texts are reported later, by row.
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "a quoted cell is never closed" if "end of data" in str(error) else str(error)
            raise InvalidInput(
                f"{path}: line {line}: {reason}; put cells with quotes, separators or line breaks "
                'in double quotes and write a quote inside them as ""'
            ) from error
        if record:
            yield line, record


def _header(record: list[str], line: int, path: Path) -> tuple[str, ...]:
    names = tuple(cell.strip() or f"column {number}" for number, cell in enumerate(record, 1))
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise InvalidInput(f"{path}: line {line}: two columns are called {doubled[0]!r}; rename one of them")
    return names


def table_of_records(
    records: Iterator[tuple[int, list[Any]]], path: Path, encoding: str = "", problems: Sequence[Problem] = ()
) -> RawTable:
    """Table whose first record names the columns.

    Short rows are filled with nothing, with a warning. Rows that are longer than the header
    are errors and left out: their cells cannot be told apart.
    """
    found = list(problems)
    line, first = next(records, (0, []))
    if not any(as_text(cell).strip() for cell in first):
        raise InvalidInput(f"{path}: is empty; expected a row of column names and rows of texts")
    columns = _header([as_text(cell) for cell in first], line, path)
    rows: list[RawRow] = []
    for number, record in records:
        if len(record) > len(columns) and any(as_text(cell).strip() for cell in record[len(columns) :]):
            message = f"the row has {len(record)} cells, the header {len(columns)}"
            fix = "put cells that hold the separator in double quotes"
            found.append(Problem(str(path), number, "", "error", message, fix))
            continue
        if not any(as_text(cell).strip() for cell in record):
            continue
        if len(record) < len(columns):
            message = f"the row has {len(record)} cells, the header {len(columns)}; the rest counts as empty"
            found.append(Problem(str(path), number, "", "warning", message, "check the row for a missing separator"))
        rows.append(RawRow(number, dict.fromkeys(columns, "") | dict(zip(columns, record, strict=False))))
    return RawTable(columns, tuple(rows), header=line, encoding=encoding, problems=tuple(found))


def read_delimited(text: str, suffix: str, path: Path, encoding: str) -> RawTable:
    """The table in the text of a ``.csv`` or ``.tsv`` file; the separator of a CSV is taken from its header.

    Raises InvalidInput for an empty file, doubled column names and unbalanced quotes.
    """
    records = _records(text, _delimiter(text, suffix), path)
    unguarded = ((line, [unguard_formula(cell) for cell in record]) for line, record in records)
    return table_of_records(unguarded, path, encoding)


def delimited_bytes(columns: Sequence[str], rows: Sequence[Sequence[Any]], suffix: str) -> bytes:
    """CSV or TSV in UTF-8 with the mark that makes Excel read it as such; formulas guarded."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\r\n")
    for record in (columns, *rows):
        writer.writerow([guard_formula(cell) if isinstance(cell, str) else as_text(cell) for cell in record])
    return buffer.getvalue().encode("utf-8-sig")
