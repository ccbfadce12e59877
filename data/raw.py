"""A table as it stands in a file, before anyone knows what its columns mean."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.problems import Problem

# Whole files are held in memory; beyond this, score them in batches instead.
MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class RawRow:
    """Cells by column name, with the line the user finds them on."""

    line: int
    cells: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RawTable:
    """The rows of one file. ``header`` is the line of the column names, 0 where each row has its own.

    ``encoding`` is "" for formats that have none. ``problems`` are those of the file's form:
    rows that cannot be read are here and not among ``rows``. ``unread`` are the other filled
    sheets of a workbook whose sheet nobody told. Of ``from_workbook`` cells the number format is lost.
    """

    columns: tuple[str, ...]
    rows: tuple[RawRow, ...]
    header: int = 0
    encoding: str = ""
    problems: tuple[Problem, ...] = field(default=())
    unread: tuple[str, ...] = ()
    from_workbook: bool = False

    def numeric_ids(self, path: Path, column: str) -> tuple[Problem, ...]:
        """A warning where the ids in ``column`` are numbers of a workbook, which may have been shown otherwise."""
        numbers = [row for row in self.rows if isinstance(row.cells.get(column), int | float)]
        if not self.from_workbook or not numbers:
            return ()
        message = (
            f"{len(numbers)} ids are numbers; leading zeros (000042), if any, are lost, as are digits beyond the 15th"
        )
        fix = "nothing to do if there are none; else format the column as text in the workbook and enter them again"
        return (Problem(str(path), numbers[0].line, column, "warning", message, fix),)


def as_text(cell: Any) -> str:
    """A cell as the user sees it: whole numbers without ".0", dates in ISO form, nothing as ""."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)
