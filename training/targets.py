"""What a row teaches: targets of every dimension as probabilities, held in a ``datasets.Dataset``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, Features, Value
from datasets import List as ListOf
from pyarrow import ArrowInvalid, parquet
from torch import Tensor

from data.schema import LabelledText
from model.errors import InvalidInput
from model.taxonomy import Taxonomy

COLUMNS = ("causes", "primary_cause", "motives", "primary_motive", "severity", "style")


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


def read_soft_table(path: Path, taxonomy: Taxonomy, weight: float) -> Dataset:
    """Soft targets written by ``kesu distil`` (Parquet), each row weighing ``weight``.

    Raises InvalidInput for a missing or damaged file and for one of other numbers of labels.
    """
    if not path.is_file():
        raise InvalidInput(f"{path}: no such file of soft targets; make it with kesu distil")
    try:
        # Into memory: `Dataset.from_parquet` would leave a copy in the user's cache.
        table = Dataset(parquet.read_table(path))
    except (ArrowInvalid, OSError) as error:
        raise InvalidInput(f"{path}: not a Parquet file; make it with kesu distil") from error
    expected = features(taxonomy)
    if set(table.column_names) != set(expected) - {"weight"}:
        raise InvalidInput(
            f"{path}: columns {', '.join(table.column_names)} are not those of a soft-target file; "
            "make it with kesu distil"
        )
    if any(table.features[name] != expected[name] for name in table.column_names):
        raise InvalidInput(f"{path}: made for other labels than those of this training; distil again")
    return table.add_column("weight", [weight] * len(table)).select_columns(list(expected)).cast(expected)


def motive_weights(table: Dataset, power: float) -> Tensor:
    """(mean share / share) ** power for each primary motive, ``[motives]``: rare ones weigh more."""
    counts = np.asarray(table.with_format("numpy")["primary_motive"]).sum(0) + 1.0
    return torch.tensor((counts.mean() / counts) ** power, dtype=torch.float32).clamp(0.3, 4.0)
