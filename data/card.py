"""The figures of the corpus's data card, generated from the corpus so that they stay true."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from data.atomic import write_atomically
from data.audit import count_labels
from data.corpus import FOLDER, load_corpus
from model.errors import InvalidInput
from model.taxonomy import load_taxonomy

CARD = FOLDER / "README.md"
_BEGIN = "<!-- figures: written by `kesu data card`, do not edit -->"
_END = "<!-- end of figures -->"


def _table(header: list[str], rows: list[list[str]]) -> str:
    rule = ["---", *("---:" if cell.isdigit() else "---" for cell in rows[0][1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def figures() -> str:
    """Counts by file and split, length, channel and label, as Markdown."""
    rows = load_corpus()
    taxonomy = load_taxonomy()
    splits = sorted({row.split or "-" for row in rows}, reverse=True)
    by_split = Counter(row.split or "-" for row in rows)
    lengths = sorted(len(row.text) for row in rows)
    complaints = sum(row.severity > 0 for row in rows)
    files = ", ".join(f"`{path.name}`" for path in sorted(FOLDER.glob("*.jsonl")))
    facts = [
        ["files", files],
        ["texts", str(len(rows))],
        *([f"split `{split}`", str(by_split[split])] for split in splits),
        ["complaints", str(complaints)],
        ["not complaints", str(len(rows) - complaints)],
        ["characters a text: shortest, median, longest", f"{lengths[0]}, {lengths[len(lengths) // 2]}, {lengths[-1]}"],
        ["domains", str(len({row.domain for row in rows if row.domain}))],
    ]
    channels = Counter(row.channel or "not given" for row in rows)
    names = {
        "causes": {label.id: label.zh for label in taxonomy.causes},
        "motives": {label.id: label.zh for label in taxonomy.motives},
        "severity": {label.id: label.zh for label in taxonomy.severities},
        "style": {label.id: label.zh for label in taxonomy.styles},
    }
    counts = count_labels(((row, row.split or "") for row in rows), taxonomy)
    labels = [
        [dimension, f"`{label}`", names[dimension][label], *(str(given.get(split, 0)) for split in splits)]
        for dimension, known in counts.items()
        for label, given in known.items()
    ]
    return "\n\n".join(
        (
            _table(["what", "figure"], facts),
            _table(["channel", "texts"], [[channel, str(number)] for channel, number in channels.most_common()]),
            _table(["dimension", "label", "name", *splits], labels),
        )
    )


def with_figures(card: str, path: Path = CARD) -> str:
    """The card's text with today's figures between its markers; raises InvalidInput if they are missing."""
    before, begin, rest = card.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise InvalidInput(f"{path}: has no place for the figures; put {_BEGIN} and {_END} where they belong")
    return f"{before}{_BEGIN}\n\n{figures()}\n\n{_END}{after}"


def update_card(path: Path = CARD) -> bool:
    """Bring the card's figures up to date; True if they had to change."""
    old = path.read_text(encoding="utf-8")
    new = with_figures(old, path)
    if new != old:
        write_atomically(path, new.encode())
    return new != old
