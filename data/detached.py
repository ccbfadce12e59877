"""Labels kept apart from their texts: complaint text is personal data, its labels are not.

A row is found again by the hash of its text, so labels can be shared and versioned where the texts cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.columns import ColumnMapping, map_columns
from data.formats import read_table, write_table
from data.raw import RawRow, RawTable, as_text
from data.readers import label_table, raise_for_errors, text_id
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


def detach(rows: Sequence[LabelledText], path: Path) -> int:
    """Write the labels of ``rows`` without their texts; the number of texts.

    Raises InvalidInput when two rows of one text differ.
    """
    kept: dict[str, dict[str, Any]] = {}
    for row in rows:
        labels = {name: value for name, value in row.as_row().items() if name not in ("id", "text")}
        key = key_of(row.text)
        first = kept.setdefault(key, labels)
        if differ := [name for name in LabelledText.model_fields if first.get(name) != labels.get(name)]:
            raise InvalidInput(
                f"row {row.id}: the same text stands there twice, with another {' and '.join(differ)}; settle on one"
            )
    columns = [KEY, *(name for name in LabelledText.model_fields if any(name in labels for labels in kept.values()))]
    write_table(path, columns, [{KEY: key, **labels} for key, labels in kept.items()])
    return len(kept)


def attach(
    labels: Path,
    texts: Sequence[Path],
    taxonomy: Taxonomy,
    text_column: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
) -> Attached:
    """The texts that ``labels`` knows, labelled; each once, named by its key.

    ``text_column``, ``encoding`` and ``sheet`` are those of the texts, and found out unless told.

    Raises InvalidInput for a file of another form or with rows that cannot be read, for labels that ``taxonomy``
    lacks, and when no text is known.
    """
    kept: dict[str, RawRow] = {}
    detached = read_table(labels)
    raise_for_errors(detached.problems, labels)
    for row in detached.rows:
        if not isinstance(row.cells.get(KEY), str):
            raise InvalidInput(f"{labels}:{row.line}: no field {KEY!r}; make such a file with kesu data detach")
        kept[row.cells[KEY]] = row
    found: dict[str, RawRow] = {}
    without = 0
    for path in texts:
        table = read_table(path, encoding, sheet)
        raise_for_errors(table.problems, path)
        told = {} if text_column is None else {"text": text_column}
        column = map_columns(table.columns, path, told, required=("text",), wanted=("text",)).columns["text"]
        for row in table.rows:
            text = as_text(row.cells.get(column))
            key = key_of(text)
            if key not in kept:
                without += bool(text.strip())
            elif key not in found:
                found[key] = RawRow(kept[key].line, {**kept[key].cells, "id": key, "text": text})
    if not found:
        raise InvalidInput(f"{labels}: knows none of the {without} texts; are these the texts it was made from?")
    # Read as any labelled file is: a spreadsheet holds several labels in one cell.
    fields = [name for name in LabelledText.model_fields if name in ("id", "text") or name in detached.columns]
    mapping = ColumnMapping({name: name for name in fields})
    read = label_table(RawTable(tuple(fields), tuple(found.values())), labels, mapping, taxonomy)
    raise_for_errors(read.problems, labels)
    return Attached(read.rows, without, len(kept) - len(found))
