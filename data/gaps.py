"""Complaints without a cause or a motive: right where nobody can tell, ruinous where an export has lost them.

Merged cells of a spreadsheet are the usual way: only the first row of a merged block keeps its label.
"""

from __future__ import annotations

from collections.abc import Sequence

from data.schema import LabelledText

FIELDS = {"causes": "cause", "motives": "motive"}
FIX = "leave it empty only where nobody can tell; merged cells fill their first row only, so unmerge them and fill all"


def without(rows: Sequence[LabelledText], field: str) -> list[int]:
    """Places of the complaints among ``rows`` whose ``field`` ("causes" or "motives") is empty."""
    return [place for place, row in enumerate(rows) if row.severity > 0 and not getattr(row, field)]


def told(rows: Sequence[LabelledText], field: str) -> str:
    """``37 of 900 complaints have no cause``; "" where all have one."""
    number = len(without(rows, field))
    complaints = sum(row.severity > 0 for row in rows)
    return f"{number} of {complaints} complaints {'have' if number > 1 else 'has'} no {FIELDS[field]}" if number else ""


def notes(rows: Sequence[LabelledText], consequence: str = "") -> list[str]:
    """One sentence a field that complaints lack, for those who train, calibrate or evaluate with ``rows``."""
    found = [what for field in FIELDS if (what := told(rows, field))]
    return [f"{what}{consequence}; {FIX}" for what in found]
