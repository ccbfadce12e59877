"""Soft targets: the mean opinion of several teachers on texts, for a student to learn (Hinton et al. 2015)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from datasets import Dataset
from pyarrow import parquet

from model.decode import sigmoid, softmax
from model.engine import Logits
from model.errors import InvalidInput
from model.taxonomy import Taxonomy
from training.targets import COLUMNS, LABELS, features, label_ids

Floats = npt.NDArray[np.float64]
Soft = dict[str, Floats]


def soft_targets(logits: Logits) -> Soft:
    """Probabilities of every target column from one teacher's logits.

    The primary cause and motive are distributions times the probability of being a complaint,
    so that a text which is none teaches no primary label.
    """
    causes, motives = logits.causes.astype(np.float64), logits.motives.astype(np.float64)
    severity = softmax(logits.severity.astype(np.float64))
    complaint = 1.0 - severity[:, :1]
    return {
        "causes": sigmoid(causes),
        "primary_cause": softmax(causes) * complaint,
        "motives": sigmoid(motives),
        "primary_motive": softmax(motives) * complaint,
        "severity": severity,
        "style": softmax(logits.style.astype(np.float64)),
    }


def mean_opinion(opinions: Sequence[Soft], shares: Sequence[float]) -> Soft:
    """Weighted mean of teachers' probabilities; raises InvalidInput for weights that do not fit them."""
    if not opinions or len(opinions) != len(shares):
        raise InvalidInput(f"{len(opinions)} teachers but {len(shares)} weights: give one weight a teacher")
    total = sum(shares)
    if min(shares) < 0 or total <= 0:
        raise InvalidInput(f"weights of teachers must not be negative nor all 0, found {', '.join(map(str, shares))}")
    return {name: sum(s / total * o[name] for o, s in zip(opinions, shares, strict=True)) for name in COLUMNS}  # type: ignore[misc]


def write_soft(path: Path, texts: Sequence[str], soft: Soft, taxonomy: Taxonomy) -> None:
    """Save texts and targets as Parquet, the file ``data.soft`` of a training names, and which labels they are of."""
    columns = {name: soft[name].astype(np.float32).tolist() for name in COLUMNS}
    kept = features(taxonomy)
    del kept["weight"]
    table = Dataset.from_dict({"text": list(texts), **columns}, features=kept).data.table
    labels = json.dumps(label_ids(taxonomy), ensure_ascii=False).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    # Not Dataset.to_parquet: it keeps no other note in the schema than its own.
    parquet.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), LABELS: labels}), partial)
    partial.replace(path)
