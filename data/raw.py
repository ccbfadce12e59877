"""A table as it stands in a file, before anyone knows what its columns mean."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    sheets of a workbook whose sheet nobody told.
    """

    columns: tuple[str, ...]
    rows: tuple[RawRow, ...]
    header: int = 0
    encoding: str = ""
    problems: tuple[Problem, ...] = field(default=())
    unread: tuple[str, ...] = ()


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
