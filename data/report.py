"""An audit's report for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.audit import THIN, Report
from data.problems import Level

# Beyond this many of one level, the terminal shows a count and JSON shows all.
SHOWN = 40
# Of a rich table: what a column takes beside its cells, and the left edge; digits that a count is given room for.
_GAP, _EDGE, _DIGITS = 3, 1, 6
_STYLES: dict[Level, str] = {"error": "bold red", "warning": "yellow"}


def _in_parts(splits: Sequence[str], room: int) -> list[list[str]]:
    """The splits in as few groups as fit into ``room`` columns of the terminal each."""
    parts: list[list[str]] = [[]]
    left = room
    for split in splits:
        needed = _GAP + max(cell_len(split), _DIGITS)
        if needed > left and parts[-1]:
            parts.append([])
            left = room
        parts[-1].append(split)
        left -= needed
    return parts


def _counts_tables(report: Report, width: int) -> Iterator[Table]:
    """The counts by label, split among as many tables as ``width`` asks for.

    One table would be made to fit by cutting the labels.
    """
    splits = sorted({split for labels in report.counts.values() for given in labels.values() for split in given})
    first = [("dimension", *report.counts), ("label", *(name for labels in report.counts.values() for name in labels))]
    room = width - _EDGE - sum(_GAP + max(map(cell_len, cells)) for cells in first) - _GAP - max(5, _DIGITS)
    for number, part in enumerate(_in_parts(splits, room)):
        title = "Texts by label" + (", further splits" if number else "")
        table = Table(title=title, title_justify="left")
        table.add_column("dimension")
        table.add_column("label", overflow="fold")
        table.add_column("texts", justify="right")
        for split in part:
            table.add_column(split, justify="right", overflow="fold")
        for dimension, labels in report.counts.items():
            for label, given in labels.items():
                total = sum(given.values())
                shown = [str(given.get(split, 0)) for split in part]
                table.add_row(dimension, label, str(total), *shown, style="yellow" if total < THIN else "")
            table.add_section()
        yield table


def print_report(report: Report, console: Console) -> None:
    """What was read and how, the counts, and the problems with the errors last, where they are seen."""
    for file in report.files:
        encoding = f", {file.encoding}" if file.encoding else ""
        console.print(Text(f"{file.path}: {len(file.rows)} texts{encoding}; {file.mapping}"), soft_wrap=True)
    for table in _counts_tables(report, console.width):
        console.print(table)
    for level in ("warning", "error"):
        problems = [problem for problem in report.problems if problem.level == level]
        for problem in problems[:SHOWN]:
            console.print(Text(str(problem), style=_STYLES[problem.level]), soft_wrap=True)
        if len(problems) > SHOWN:
            console.print(Text(f"… and {len(problems) - SHOWN} more {level}s; --json lists all", style="dim"))
    summary = f"{report.rows} texts, {report.number('error')} errors, {report.number('warning')} warnings"
    console.print(Text(summary, style="bold red" if report.number("error") else "bold green"))
