"""An audit's report for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from data.audit import THIN, Report
from data.problems import Level

# Beyond this many of one level, the terminal shows a count and JSON shows all.
SHOWN = 40
_STYLES: dict[Level, str] = {"error": "bold red", "warning": "yellow"}


def _counts_table(report: Report) -> Table:
    splits = sorted({split for labels in report.counts.values() for given in labels.values() for split in given})
    table = Table(title="Texts by label", title_justify="left")
    table.add_column("dimension")
    table.add_column("label")
    table.add_column("texts", justify="right")
    for split in splits:
        table.add_column(split, justify="right")
    for dimension, labels in report.counts.items():
        for label, given in labels.items():
            number = sum(given.values())
            style = "yellow" if number < THIN else ""
            shown = [str(given.get(split, 0)) for split in splits]
            table.add_row(dimension, label, str(number), *shown, style=style)
        table.add_section()
    return table


def print_report(report: Report, console: Console) -> None:
    """What was read and how, the counts, and the problems with the errors last, where they are seen."""
    for file in report.files:
        encoding = f", {file.encoding}" if file.encoding else ""
        console.print(Text(f"{file.path}: {len(file.rows)} texts{encoding}; {file.mapping}"), soft_wrap=True)
    console.print(_counts_table(report))
    for level in ("warning", "error"):
        problems = [problem for problem in report.problems if problem.level == level]
        for problem in problems[:SHOWN]:
            console.print(Text(str(problem), style=_STYLES[problem.level]), soft_wrap=True)
        if len(problems) > SHOWN:
            console.print(Text(f"… and {len(problems) - SHOWN} more {level}s; --json lists all", style="dim"))
    summary = f"{report.rows} texts, {report.number('error')} errors, {report.number('warning')} warnings"
    console.print(Text(summary, style="bold red" if report.number("error") else "bold green"))
