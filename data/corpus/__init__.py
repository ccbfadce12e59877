"""The labelled corpus that kesu ships; README.md is its data card."""

from __future__ import annotations

from pathlib import Path

from data.readers import load_labelled
from data.schema import LabelledText
from model.errors import InvalidInput

FOLDER = Path(__file__).parent


def load_corpus(split: str | None = None) -> list[LabelledText]:
    """All texts of the corpus's files in the order of their names, or those of one split.

    The corpus is labelled with the taxonomy that kesu ships. Raises InvalidInput for a split
    that no text belongs to.
    """
    rows = load_labelled(sorted(FOLDER.glob("*.jsonl")))
    if split is None:
        return rows
    chosen = [row for row in rows if row.split == split]
    if not chosen:
        known = ", ".join(sorted({row.split for row in rows if row.split}))
        raise InvalidInput(f"the corpus has no split {split!r}; it has {known}")
    return chosen
