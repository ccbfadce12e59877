"""How answers look to people: tables and panels in a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from model.classification import Classification

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# Wide enough for the sample table where nobody tells the width (a log, a pipe).
PIPE_WIDTH = 132
TEXT_WIDTH = 44
_COLOURS = {"auto": "green", "suggest": "yellow", "review": "red"}


def on_terminal() -> bool:
    """Whether standard output is a person's terminal."""
    return sys.stdout.isatty()


def console() -> Console:
    """Where rich output goes. Imported on use: plain output must not wait for it."""
    from rich.console import Console

    return Console(width=None if on_terminal() else PIPE_WIDTH, highlight=False, emoji=False, markup=False)


def _scores(labels: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{label['label']} {label['name']} {label['probability']:.2f}" for label in labels) or "-"


def _words(spans: Sequence[Mapping[str, Any]]) -> str:
    return "  ".join(f"「{span['text']}」{span['weight']:.2f}" for span in spans)


def _actions(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What to do, most urgent first: deadline, owner, title and the steps."""
    if answer["first_reply"]:
        yield "reply", f"before {_when(answer['first_reply'])}"
    for action in answer["strategies"]:
        decides = "; a person decides" if action["human_decision"] else ""
        yield "do", f"{action['title']['zh']} ({action['owner']['zh']}, by {_when(action['due'])}{decides})"
        for number, step in enumerate(action["steps"], 1):
            yield "", f"{number}. {step}"


def _when(due: Mapping[str, Any]) -> str:
    """A date to the minute; where the calendar lacks it, the limit itself."""
    if due["at"]:
        return f"{datetime.fromisoformat(due['at']):%Y-%m-%d %H:%M}"
    return " ".join(f"{value} {unit.replace('_', ' ')}" for unit, value in due.items() if unit != "at")


def fields(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of every line to show of a whole answer (``serving.bundle.whole``)."""
    verdict = "complaint" if answer["is_complaint"] else "not a complaint"
    severity, style = answer["severity"], answer["style"]
    found = [
        ("verdict", f"{verdict} {answer['complaint_probability']:.2f}"),
        ("causes", _scores(answer["causes"])),
        ("motives", _scores(answer["motives"])),
        ("severity", f"{severity['level']} {severity['name']}"),
        ("style", _scores([style])),
        ("decision", f"{answer['decision']} {answer['confidence']:.2f}"),
    ]
    if answer["review_reasons"]:
        found.append(("reasons", ", ".join(answer["review_reasons"])))
    for raised in severity["raised_by"]:
        found.append(
            ("raised", f"to {raised['level']} by {raised['rule']} {raised['name']}: {_words(raised['evidence'])}")
        )
    for label in (*answer["causes"], *answer["motives"]):
        if label["evidence"]:
            found.append(("evidence", f"{label['name']}: {_words(label['evidence'])}"))
    found += [("warning", f"{notice['code']}: {notice['message']}") for notice in answer["warnings"]]
    return [*found, *_actions(answer)]


def show(answer: Mapping[str, Any]) -> None:
    """Print one whole answer."""
    if not on_terminal():
        print("\n".join(f"{name}\t{value}" for name, value in fields(answer)))
        return
    from rich.panel import Panel
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in fields(answer):
        grid.add_row(name, value)
    console().print(Panel(grid, border_style=_COLOURS.get(answer["decision"], "none"), expand=False))


def tab_line(answer: Classification) -> str:
    """One answer on one line: causes, motives, severity, style, confidence, decision, parted by tabs."""
    row = answer.to_row()
    row["causes"], row["motives"] = ";".join(row["causes"]), ";".join(row["motives"])
    return "\t".join(str(value) for value in row.values())


def overview(texts: Sequence[str], answers: Sequence[Classification]) -> Table:
    """One table row a text; the text is cut for display only."""
    from rich.table import Table

    table = Table(show_lines=False)
    table.add_column("text", no_wrap=True, overflow="ellipsis", max_width=TEXT_WIDTH)
    for name in ("cause", "motive", "severity", "style"):
        table.add_column(name, no_wrap=True)
    table.add_column("confidence", justify="right")
    table.add_column("decision")
    for text, answer in zip(texts, answers, strict=True):
        table.add_row(
            " ".join(text.split()),
            answer.causes[0].name if answer.causes else "-",
            answer.motives[0].name if answer.motives else "-",
            f"{answer.severity.level} {answer.severity.name}",
            answer.style.name,
            f"{answer.confidence:.2f}",
            answer.decision,
            style=None,
        )
    return table
