"""Labelled texts as a Hugging Face dataset, the form training works on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from data.schema import LabelledText
from model.taxonomy import Taxonomy

if TYPE_CHECKING:
    import datasets

# Class number of the primary cause or motive of a text that has none.
NO_LABEL = -1


def _multi_hot(labels: Sequence[str], ids: Sequence[str]) -> list[float]:
    return [float(label in labels) for label in ids]


def _primary(labels: Sequence[str], ids: Sequence[str]) -> int:
    return ids.index(labels[0]) if labels else NO_LABEL


def to_dataset(rows: Iterable[LabelledText], taxonomy: Taxonomy) -> datasets.Dataset:
    """In-memory dataset with one record a text, in the given order.

    Columns: ``id``, ``text``; ``causes`` and ``motives`` multi-hot float32 of the number of
    labels; ``primary_cause``, ``primary_motive``, ``severity``, ``style`` as class numbers in
    model order (-1: no primary label); ``weight`` float32, 1.0. The labels must be of
    ``taxonomy``, else ValueError.
    """
    # Imported here: it costs seconds, and reading or checking a file needs none of it.
    import datasets

    columns: dict[str, list[Any]] = {
        name: []
        for name in (
            *("id", "text", "causes", "primary_cause", "motives", "primary_motive"),
            *("severity", "style", "weight"),
        )
    }
    for row in rows:
        columns["id"].append(row.id)
        columns["text"].append(row.text)
        columns["causes"].append(_multi_hot(row.causes, taxonomy.cause_ids))
        columns["primary_cause"].append(_primary(row.causes, taxonomy.cause_ids))
        columns["motives"].append(_multi_hot(row.motives, taxonomy.motive_ids))
        columns["primary_motive"].append(_primary(row.motives, taxonomy.motive_ids))
        columns["severity"].append(row.severity)
        columns["style"].append(taxonomy.style_ids.index(row.style))
        columns["weight"].append(1.0)
        known = sum(columns["causes"][-1]) + sum(columns["motives"][-1])
        if known != len(row.causes) + len(row.motives):
            raise ValueError(f"text {row.id!r} has labels outside taxonomy {taxonomy.version}")
    number, multi_hot = datasets.Value("int64"), datasets.List(datasets.Value("float32"))
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "text": datasets.Value("string"),
            "causes": multi_hot,
            "primary_cause": number,
            "motives": multi_hot,
            "primary_motive": number,
            "severity": number,
            "style": number,
            "weight": datasets.Value("float32"),
        }
    )
    return datasets.Dataset.from_dict(columns, features=features)
