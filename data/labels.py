"""From what people write in a label cell to the ids of a taxonomy."""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from model.taxonomy import Label, Taxonomy

Dimension = Literal["causes", "motives", "severities", "styles"]
_SEPARATORS = re.compile(r"[;；,，、|\n\r]")
# Ways of writing "no label" in a spreadsheet; "nan" is what pandas leaves of an empty cell.
_NOTHING = frozenset({"", "-", "—", "/", "无", "none", "null", "nan", "n/a", "[]"})
# Up to this many labels, naming all of them helps more than guessing at the closest.
_LIST_ALL = 8


def _fold(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def split_cell(cell: str) -> list[str]:
    """The names in a cell that joins several by ``; , 、 |``; list brackets and quotes are dropped."""
    parts = (part.strip(" \t\"'[]") for part in _SEPARATORS.split(cell))
    return [part for part in parts if _fold(part) not in _NOTHING]


def _names(labels: Sequence[Label]) -> dict[str, tuple[str, ...]]:
    """Folded spellings of ``labels``, each with the ids of all labels that have it."""
    ids: defaultdict[str, dict[str, None]] = defaultdict(dict)
    others: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for label in labels:
        ids[_fold(label.id)][label.id] = None
        for name in (label.code, label.zh, label.en):
            others[_fold(name)][label.id] = None
    # Ids win, so that there is always a way to write what is meant.
    names = {name: tuple(found) for name, found in {**others, **ids}.items()}
    names.pop("", None)
    return names


class LabelIndex:
    """Finds the label meant by an id, an annotators' code, or a Chinese or English name."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._labels: dict[Dimension, tuple[Label, ...]] = {
            "causes": taxonomy.causes,
            "motives": taxonomy.motives,
            "severities": taxonomy.severities,
            "styles": taxonomy.styles,
        }
        self._ids = {dimension: frozenset(label.id for label in labels) for dimension, labels in self._labels.items()}
        # What may be written -> ids of the labels it may mean.
        self._names: dict[Dimension, dict[str, tuple[str, ...]]] = {
            dimension: _names(labels) for dimension, labels in self._labels.items()
        }

    def meant(self, dimension: Dimension, name: str) -> tuple[str, ...]:
        """Ids of the labels that ``name`` may mean: none if it is not known, several if they share it."""
        # Two ids may differ in nothing but case: as it stands, an id is never in doubt.
        if name in self._ids[dimension]:
            return (name,)
        return self._names[dimension].get(_fold(name), ())

    def resolve(self, dimension: Dimension, name: str) -> str | None:
        """Id of the only label called ``name``, or None."""
        ids = self.meant(dimension, name)
        return ids[0] if len(ids) == 1 else None

    def resolve_cell(self, dimension: Dimension, cell: str) -> list[str]:
        """Ids of all labels in a cell, in order; a name not known, or shared by labels, stays as it is written."""
        # A name may hold a separator, as "Delay, other" does: the cell as a whole goes first.
        parts = [cell.strip()] if self.meant(dimension, cell) else split_cell(cell)
        return [self.resolve(dimension, name) or name for name in parts]

    def closest(self, dimension: Dimension, name: str) -> str:
        """The labels ``name`` may have meant, for an error message."""
        names = self._names[dimension]
        found = difflib.get_close_matches(_fold(name), names, n=6, cutoff=0.5)
        ids = list(dict.fromkeys(label for match in found for label in names[match]))[:3]
        if not ids and len(self._labels[dimension]) <= _LIST_ALL:
            ids = [label.id for label in self._labels[dimension]]
        shown = {
            label.id: f"{label.id} ({' '.join(filter(None, (label.code, label.zh)))})"
            for label in self._labels[dimension]
        }
        return ", ".join(shown[i] for i in ids) if ids else "none; `kesu taxonomy` lists them all"


@functools.lru_cache(maxsize=8)
def label_index(taxonomy: Taxonomy) -> LabelIndex:
    """The index of ``taxonomy``, built once."""
    return LabelIndex(taxonomy)
