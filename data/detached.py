"""Labels kept apart from their texts: complaint text is personal data, its labels are not.

A row is found again by the hash of its text, so labels can be shared and versioned where the texts cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.formats import read_table, write_table
from data.raw import as_text
from data.readers import text_id
from data.schema import LabelledText
from model.errors import InvalidInput
from model.taxonomy import Taxonomy

KEY = "text_id"


@dataclass(frozen=True, slots=True)
class Attached:
    """Labelled rows in the order of the texts; how many texts had no labels, and how many labels no text."""

    rows: tuple[LabelledText, ...]
    texts_without: int
    labels_without: int


def key_of(text: str) -> str:
    """The name under which the labels of a text are kept; spaces around the text do not count."""
    return text_id(text.strip())


def detach(rows: Sequence[LabelledText], path: Path) -> None:
    """Write the labels of ``rows`` without their texts. Raises InvalidInput when two rows of one text differ."""
    kept: dict[str, dict[str, Any]] = {}
    for row in rows:
        labels = {name: value for name, value in row.as_row().items() if name not in ("id", "text")}
        key = key_of(row.text)
        if kept.setdefault(key, labels) != labels:
            raise InvalidInput(f"row {row.id}: the same text stands there twice with other labels; settle on one")
    columns = [KEY, *(name for name in LabelledText.model_fields if any(name in labels for labels in kept.values()))]
    write_table(path, columns, [{KEY: key, **labels} for key, labels in kept.items()])


def attach(labels: Path, texts: Sequence[Path], taxonomy: Taxonomy, text_column: str = "text") -> Attached:
    """The texts that ``labels`` knows, labelled; each once, named by its key.

    Raises InvalidInput for a file of another form and when no text is known.
    """
    kept: dict[str, dict[str, Any]] = {}
    for row in read_table(labels).rows:
        if not isinstance(row.cells.get(KEY), str):
            raise InvalidInput(f"{labels}:{row.line}: no field {KEY!r}; make such a file with kesu data detach")
        kept[row.cells[KEY]] = {name: cell for name, cell in row.cells.items() if name != KEY and cell is not None}
    found: dict[str, LabelledText] = {}
    without = 0
    for path in texts:
        table = read_table(path)
        if text_column not in table.columns:
            raise InvalidInput(f"{path}: no column {text_column!r}; its columns are {', '.join(table.columns)}")
        for row in table.rows:
            text = as_text(row.cells.get(text_column))
            key = key_of(text)
            if key not in kept:
                without += bool(text.strip())
            elif key not in found:
                found[key] = LabelledText.parse({"id": key, "text": text, **kept[key]}, taxonomy)
    if not found:
        raise InvalidInput(f"{labels}: knows none of the {without} texts; are these the texts it was made from?")
    return Attached(tuple(found.values()), without, len(kept) - len(found))
