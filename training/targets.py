"""What a row teaches: targets of every dimension as probabilities, held in a ``datasets.Dataset``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, Features, Value
from datasets import List as ListOf
from pyarrow import ArrowInvalid, Schema, parquet
from torch import Tensor

from data.schema import LabelledText
from model.errors import InvalidInput
from model.taxonomy import Taxonomy

COLUMNS = ("causes", "primary_cause", "motives", "primary_motive", "severity", "style")
# Entry of a soft-target file's Parquet schema that tells its labels: the numbers alone do not.
LABELS = b"kesu_labels"


def features(taxonomy: Taxonomy) -> Features:
    """Columns of a training table: ``text``, ``weight`` and one list of probabilities a target."""
    sizes = {
        "causes": len(taxonomy.causes),
        "primary_cause": len(taxonomy.causes),
        "motives": len(taxonomy.motives),
        "primary_motive": len(taxonomy.motives),
        "severity": taxonomy.levels,
        "style": len(taxonomy.styles),
    }
    lists = {name: ListOf(Value("float32"), length=size) for name, size in sizes.items()}
    return Features({"text": Value("string"), "weight": Value("float32"), **lists})


def label_ids(taxonomy: Taxonomy) -> dict[str, list[str]]:
    """Ids of all labels that targets are about, in the order of their columns."""
    return {
        "causes": list(taxonomy.cause_ids),
        "motives": list(taxonomy.motive_ids),
        "severities": [label.id for label in taxonomy.severities],
        "styles": list(taxonomy.style_ids),
    }


def one_hot(index: int, size: int) -> list[float]:
    """A distribution with all its weight on ``index``."""
    return [1.0 if i == index else 0.0 for i in range(size)]


def many_hot(labels: Iterable[str], ids: Sequence[str]) -> list[float]:
    """One for each id among ``labels``, zero for the others."""
    present = set(labels)
    return [1.0 if label in present else 0.0 for label in ids]


def labelled_table(rows: Sequence[LabelledText], taxonomy: Taxonomy, weights: Mapping[str, float]) -> Dataset:
    """Targets of labelled rows; a row weighs what ``weights`` says of its origin, else 1."""
    style_index = {style: i for i, style in enumerate(taxonomy.style_ids)}
    table: dict[str, list[object]] = {name: [] for name in features(taxonomy)}
    for row in rows:
        table["text"].append(row.text)
        table["weight"].append(weights.get(row.origin or "", 1.0))
        table["causes"].append(many_hot(row.causes, taxonomy.cause_ids))
        table["primary_cause"].append(many_hot(row.causes[:1], taxonomy.cause_ids))
        table["motives"].append(many_hot(row.motives, taxonomy.motive_ids))
        table["primary_motive"].append(many_hot(row.motives[:1], taxonomy.motive_ids))
        table["severity"].append(one_hot(row.severity, taxonomy.levels))
        table["style"].append(one_hot(style_index[row.style], len(taxonomy.styles)))
    return Dataset.from_dict(table, features=features(taxonomy))


def _written_labels(schema: Schema) -> dict[str, list[Any]] | None:
    """What ``write_soft`` noted in the file of ``schema``; None for a file without such a note."""
    try:
        noted = json.loads((schema.metadata or {})[LABELS])
    except (KeyError, ValueError):
        return None
    whole = isinstance(noted, dict) and all(isinstance(ids, list) for ids in noted.values())
    return noted if whole else None


def _check_labels(schema: Schema, taxonomy: Taxonomy, path: Path) -> None:
    """Raise InvalidInput, naming the first difference, unless the file was made for the labels of ``taxonomy``."""
    written = _written_labels(schema)
    if written is None:
        raise InvalidInput(f"{path}: does not tell which labels it was made for; make it again with kesu distil")
    for dimension, ids in label_ids(taxonomy).items():
        pairs = itertools.zip_longest(written.get(dimension, []), ids)
        for number, (there, here) in enumerate(pairs, 1):
            if there != here:
                found, wanted = (repr(label) if label is not None else "none" for label in (there, here))
                raise InvalidInput(
                    f"{path}: made for other labels than those of this training: number {number} of its {dimension} "
                    f"is {found}, of taxonomy {taxonomy.version} {wanted}; make it again with kesu distil from "
                    "teachers of this taxonomy"
                )


def read_soft_table(path: Path, taxonomy: Taxonomy, weight: float) -> Dataset:
    """Soft targets written by ``kesu distil`` (Parquet), each row weighing ``weight``.

    Raises InvalidInput for a missing or damaged file and for one made for other labels, or the same in
    another order.
    """
    if not path.is_file():
        raise InvalidInput(f"{path}: no such file of soft targets; make it with kesu distil")
    try:
        # Into memory: `Dataset.from_parquet` would leave a copy in the user's cache.
        content = parquet.read_table(path)
        table = Dataset(content)
    except (ArrowInvalid, OSError) as error:
        raise InvalidInput(f"{path}: not a Parquet file; make it with kesu distil") from error
    expected = features(taxonomy)
    if set(table.column_names) != set(expected) - {"weight"}:
        raise InvalidInput(
            f"{path}: columns {', '.join(table.column_names)} are not those of a soft-target file; "
            "make it with kesu distil"
        )
    _check_labels(content.schema, taxonomy, path)
    for name in table.column_names:
        if table.features[name] != expected[name]:
            raise InvalidInput(
                f"{path}: column {name} holds {table.features[name]}, not {expected[name]}: the file was changed; "
                "make it again with kesu distil"
            )
    return table.add_column("weight", [weight] * len(table)).select_columns(list(expected)).cast(expected)


def motive_weights(table: Dataset, power: float) -> Tensor:
    """(mean share / share) ** power for each primary motive, ``[motives]``: rare ones weigh more."""
    counts = np.asarray(table.with_format("numpy")["primary_motive"]).sum(0) + 1.0
    return torch.tensor((counts.mean() / counts) ** power, dtype=torch.float32).clamp(0.3, 4.0)
