"""Gold and predicted rows side by side, as arrays: what every figure is computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidInput
from model.taxonomy import Taxonomy

Row = Mapping[str, Any]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """Labels of n rows as arrays; ``first_*`` hold the number of the primary label, -1 for none."""

    causes: Flags
    groups: Flags
    motives: Flags
    severity: Ints
    style: Ints
    first_cause: Ints
    first_group: Ints
    first_motive: Ints


@dataclass(frozen=True)
class Pairs:
    """Gold and predicted labels of the n rows found on both sides, in gold order."""

    taxonomy: Taxonomy
    ids: tuple[str, ...]
    missing: int
    gold: Labels
    predicted: Labels
    confidence: Floats | None
    cause_probabilities: Floats | None

    @property
    def complaints(self) -> Flags:
        """Rows that are complaints by gold, [n]."""
        return self.gold.severity > 0

    @property
    def right(self) -> Flags:
        """Rows whose primary cause (or its absence) was found, [n]."""
        return self.gold.first_cause == self.predicted.first_cause


def _number(value: Any, allowed: Mapping[str, int], what: str) -> int:
    if not isinstance(value, str) or value not in allowed:
        raise InvalidInput(f"{what} {value!r} is not in the taxonomy; it knows {', '.join(allowed)}")
    return allowed[value]


def _onehot(rows: Sequence[Iterable[int]], width: int) -> Flags:
    flags = np.zeros((len(rows), width), dtype=bool)
    for number, columns in enumerate(rows):
        flags[number, list(columns)] = True
    return flags


def code_labels(rows: Sequence[tuple[str, Row]], taxonomy: Taxonomy, side: str) -> Labels:
    """Rows as arrays; ``side`` ("gold", "predicted") is only named in errors.

    A row without ``style`` has the neutral one. Raises InvalidInput for a missing field, a
    label outside ``taxonomy`` or a severity that is no level of it.
    """
    causes, motives, severity, style = [], [], [], []
    numbers = [{label: i for i, label in enumerate(ids)} for ids in (taxonomy.cause_ids, taxonomy.motive_ids)]
    styles = {label: i for i, label in enumerate(taxonomy.style_ids)}
    for key, row in rows:
        where = f"{side} row {key!r}"
        for field, kind in (("causes", list | tuple), ("motives", list | tuple), ("severity", int)):
            if not isinstance(row.get(field), kind):
                raise InvalidInput(f"{where}: field {field!r} is missing or of the wrong type ({row.get(field)!r})")
        if not 0 <= row["severity"] < taxonomy.levels:
            raise InvalidInput(f"{where}: severity {row['severity']!r} is not a level 0-{taxonomy.levels - 1}")
        causes.append([_number(c, numbers[0], f"{where}: cause") for c in row["causes"]])
        motives.append([_number(m, numbers[1], f"{where}: motive") for m in row["motives"]])
        severity.append(int(row["severity"]))
        style.append(_number(row.get("style", taxonomy.neutral_style), styles, f"{where}: style"))
    group_of = [taxonomy.group_ids.index(taxonomy.group_of[c]) for c in taxonomy.cause_ids]
    return Labels(
        causes=_onehot(causes, len(taxonomy.causes)),
        groups=_onehot([{group_of[c] for c in found} for found in causes], len(taxonomy.groups)),
        motives=_onehot(motives, len(taxonomy.motives)),
        severity=np.array(severity, dtype=np.int64),
        style=np.array(style, dtype=np.int64),
        first_cause=np.array([found[0] if found else -1 for found in causes], dtype=np.int64),
        first_group=np.array([group_of[found[0]] if found else -1 for found in causes], dtype=np.int64),
        first_motive=np.array([found[0] if found else -1 for found in motives], dtype=np.int64),
    )


def pair_up(gold: Mapping[str, Row], predicted: Mapping[str, Row], taxonomy: Taxonomy) -> Pairs:
    """Join both sides on id. ``confidence`` and ``cause_probabilities`` count only where every row has them.

    Raises InvalidInput where no id is shared, or as :func:`code_labels` does.
    """
    ids = tuple(key for key in gold if key in predicted)
    if not ids:
        raise InvalidInput(f"none of the {len(gold)} gold ids is among the {len(predicted)} predicted ids")
    answers = [predicted[key] for key in ids]
    confidence = probabilities = None
    if all("confidence" in row for row in answers):
        values = [row["confidence"] for row in answers]
        wrong = [key for key, v in zip(ids, values, strict=True) if not isinstance(v, int | float) or not 0 <= v <= 1]
        if wrong:
            raise InvalidInput(f"predicted row {wrong[0]!r}: confidence must be a number between 0 and 1")
        confidence = np.array(values, dtype=float)
    if all(isinstance(row.get("cause_probabilities"), Mapping) for row in answers):
        probabilities = np.array(
            [[float(row["cause_probabilities"].get(c, 0.0)) for c in taxonomy.cause_ids] for row in answers]
        )
    return Pairs(
        taxonomy=taxonomy,
        ids=ids,
        missing=len(gold) - len(ids),
        gold=code_labels([(key, gold[key]) for key in ids], taxonomy, "gold"),
        predicted=code_labels([(key, predicted[key]) for key in ids], taxonomy, "predicted"),
        confidence=confidence,
        cause_probabilities=probabilities,
    )
