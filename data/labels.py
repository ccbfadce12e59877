"""From what people write in a label cell to the ids of a taxonomy."""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
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


class LabelIndex:
    """Finds the label meant by an id, an annotators' code, or a Chinese or English name."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._labels: dict[Dimension, tuple[Label, ...]] = {
            "causes": taxonomy.causes,
            "motives": taxonomy.motives,
            "severities": taxonomy.severities,
            "styles": taxonomy.styles,
        }
        self._names: dict[Dimension, dict[str, str]] = {}
        for dimension, labels in self._labels.items():
            names: dict[str, str] = {}
            # Ids win over codes and codes over names, should two labels share a spelling.
            for field in ("id", "code", "zh", "en"):
                for label in labels:
                    names.setdefault(_fold(getattr(label, field)), label.id)
            names.pop("", None)
            self._names[dimension] = names

    def resolve(self, dimension: Dimension, name: str) -> str | None:
        """Id of the label called ``name``, or None."""
        return self._names[dimension].get(_fold(name))

    def resolve_cell(self, dimension: Dimension, cell: str) -> list[str]:
        """Ids of all labels in a cell, in order; a name that is not known stays as it is written."""
        whole = self.resolve(dimension, cell)
        if whole is not None:
            return [whole]
        return [self.resolve(dimension, name) or name for name in split_cell(cell)]

    def closest(self, dimension: Dimension, name: str) -> str:
        """The labels ``name`` may have meant, for an error message."""
        names = self._names[dimension]
        found = difflib.get_close_matches(_fold(name), names, n=6, cutoff=0.5)
        ids = list(dict.fromkeys(names[match] for match in found))[:3]
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
