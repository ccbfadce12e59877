"""How good predictions are: every headline figure, all together and by label.

All headline figures are computed for a matrix of row weights [R, n] at once: weights of one
are the figures themselves, multinomial counts are R bootstrap resamples (``training.resampling``).
So a figure and its interval can never follow two definitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.taxonomy import Taxonomy
from training.pairs import Flags, Floats, Ints, Labels, Pairs, Row, pair_up

# Leaves with fewer gold rows tell more about chance than about the model: they stay out of the macro average.
MIN_CAUSE_SUPPORT = 10
COVERAGES = (90, 80, 70)
INDEX_PARTS = ("group_macro_f1", "cause_micro_f1", "motive_macro_f1", "severity_qwk")


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=float), where=whole > 0)


@dataclass(frozen=True)
class _Counts:
    """Weighted hits, false alarms and misses of L labels in R weightings, each [R, L]."""

    hit: Floats
    alarm: Floats
    miss: Floats

    @classmethod
    def of(cls, gold: Flags, predicted: Flags, weights: Floats) -> _Counts:
        return cls(weights @ (gold & predicted), weights @ (predicted & ~gold), weights @ (gold & ~predicted))

    @property
    def support(self) -> Floats:
        return self.hit + self.miss

    @property
    def f1(self) -> Floats:
        return _ratio(2 * self.hit, 2 * self.hit + self.alarm + self.miss)

    def micro(self) -> Floats:
        hit = self.hit.sum(axis=1)
        return _ratio(2 * hit, 2 * hit + self.alarm.sum(axis=1) + self.miss.sum(axis=1))

    def macro(self, whole: Floats, minimum: int) -> Floats:
        """Mean F1 of the labels of which the sample itself, not a resample of it, holds ``minimum``, [R].

        ``whole`` [L] is their support in the sample; a label that a resample lacks has no F1 there.
        """
        counted = (whole >= minimum) & (self.support > 0)
        return _ratio((self.f1 * counted).sum(axis=1), counted.sum(axis=1))


def _label_counts(pairs: Pairs, weights: Floats) -> dict[str, _Counts]:
    """Counts by dimension: sets for causes and groups, the primary motive and the style of complaints only."""
    gold, predicted, of_complaints = pairs.gold, pairs.predicted, weights * pairs.complaints

    def one(a: Ints, b: Ints, width: int, chosen: Floats) -> _Counts:
        labels = np.arange(width)
        return _Counts.of(a[:, None] == labels, b[:, None] == labels, chosen)

    taxonomy = pairs.taxonomy
    return {
        "causes": _Counts.of(gold.causes, predicted.causes, weights),
        "groups": _Counts.of(gold.groups, predicted.groups, weights),
        "motives": one(gold.first_motive, predicted.first_motive, len(taxonomy.motives), of_complaints),
        "severity": one(gold.severity, predicted.severity, taxonomy.levels, weights),
        "style": one(gold.style, predicted.style, len(taxonomy.styles), of_complaints),
    }


def quadratic_kappa(gold: Ints, predicted: Ints, weights: Floats, levels: int) -> Floats:
    """Cohen's kappa with quadratic weights (Cohen 1968) for each weighting, [R]; 1 where chance cannot err."""
    scale = np.arange(levels)
    total = weights.sum(axis=1)
    observed = weights @ (gold - predicted) ** 2 / total
    by_gold, by_predicted = weights @ (gold[:, None] == scale), weights @ (predicted[:, None] == scale)
    distance = (scale[:, None] - scale) ** 2
    chance = np.einsum("ri,ij,rj->r", by_gold, distance, by_predicted) / total / total
    return 1 - _ratio(observed, chance)


def figures(pairs: Pairs, weights: Floats) -> dict[str, Floats]:
    """Every scalar figure for each of R weightings [R, n] of the rows; values [R]."""
    gold, predicted, taxonomy = pairs.gold, pairs.predicted, pairs.taxonomy
    of_complaints = weights * pairs.complaints
    rows, complaints = weights.sum(axis=1), of_complaints.sum(axis=1)
    counts = _label_counts(pairs, weights)
    whole = {dimension: of.support[0] for dimension, of in _label_counts(pairs, ones(pairs)).items()}
    top = taxonomy.levels - 1
    near_top = max(1, top - 1)
    critical = weights * (gold.severity == top)
    off = np.abs(gold.severity - predicted.severity)

    def is_complaint(labels: Labels) -> Flags:
        return (labels.severity > 0)[:, None]

    def agree(a: Ints, b: Ints) -> Floats:
        return _ratio(of_complaints @ (a == b), complaints)

    found = {
        "complaint_f1": _Counts.of(is_complaint(gold), is_complaint(predicted), weights).micro(),
        "group_micro_f1": counts["groups"].micro(),
        "group_macro_f1": counts["groups"].macro(whole["groups"], 1),
        "group_primary_accuracy": agree(gold.first_group, predicted.first_group),
        "cause_micro_f1": counts["causes"].micro(),
        "cause_macro_f1": counts["causes"].macro(whole["causes"], MIN_CAUSE_SUPPORT),
        "cause_primary_accuracy": agree(gold.first_cause, predicted.first_cause),
        "motive_accuracy": agree(gold.first_motive, predicted.first_motive),
        "motive_macro_f1": counts["motives"].macro(whole["motives"], 1),
        "motive_any_micro_f1": _Counts.of(gold.motives, predicted.motives, weights).micro(),
        "severity_qwk": quadratic_kappa(gold.severity, predicted.severity, weights, taxonomy.levels),
        "severity_accuracy": weights @ (off == 0) / rows,
        "severity_within_1": weights @ (off <= 1) / rows,
        f"critical_recall_at_{near_top}_or_more": _ratio(
            critical @ (predicted.severity >= near_top), critical.sum(axis=1)
        ),
        "critical_f1": counts["severity"].f1[:, top],
        "style_accuracy": agree(gold.style, predicted.style),
        "style_macro_f1": counts["style"].macro(whole["style"], 1),
    }
    found["index"] = sum((found[part] for part in INDEX_PARTS), np.zeros(len(weights))) / len(INDEX_PARTS)
    if pairs.confidence is not None:
        order = np.argsort(-pairs.confidence, kind="stable")
        ranked = of_complaints[:, order]
        for share in COVERAGES:
            kept = np.minimum(np.maximum(1, complaints * share // 100), complaints)
            # A resample repeats rows: the row at the edge counts only as often as there is room.
            room = np.clip(kept[:, None] - (np.cumsum(ranked, axis=1) - ranked), 0, ranked)
            found[f"cause_primary_accuracy_at_{share}"] = _ratio(room @ pairs.right[order], kept)
    return found


def ones(pairs: Pairs) -> Floats:
    """Every row once, [1, n]: the weighting of the figures themselves."""
    return np.ones((1, len(pairs.ids)))


def evaluate_pairs(pairs: Pairs) -> dict[str, Any]:
    """All figures of ``pairs``: scalars, and ``group_f1``, ``cause_f1``, ``motive_f1``, ``style_f1`` by label."""
    result: dict[str, Any] = {
        "rows": len(pairs.ids),
        "missing": pairs.missing,
        "complaints": int(pairs.complaints.sum()),
    }
    result |= {key: float(value[0]) for key, value in figures(pairs, ones(pairs)).items()}
    tables = label_tables(pairs)
    for key, dimension in (("group", "groups"), ("cause", "causes"), ("motive", "motives"), ("style", "style")):
        minimum = MIN_CAUSE_SUPPORT if key == "cause" else 1
        result[f"{key}_f1"] = {r["label"]: r["f1"] for r in tables[dimension] if r["support"] >= minimum}
    return result


def evaluate(gold: Mapping[str, Row], predicted: Mapping[str, Row], taxonomy: Taxonomy) -> dict[str, Any]:
    """Every figure of ``predicted`` against ``gold`` (rows by id); gold rows without an answer count as missing.

    Raises InvalidInput for rows that cannot be scored (see :func:`pair_up`).
    """
    return evaluate_pairs(pair_up(gold, predicted, taxonomy))


def label_tables(pairs: Pairs) -> dict[str, list[dict[str, Any]]]:
    """Precision, recall, F1, support and number predicted of every label, by dimension.

    Motives are the primary ones; motives and styles are counted over gold complaints, as in the headline figures.
    """
    taxonomy = pairs.taxonomy
    names = {
        "causes": taxonomy.causes,
        "groups": taxonomy.groups,
        "motives": taxonomy.motives,
        "severity": taxonomy.severities,
        "style": taxonomy.styles,
    }
    tables: dict[str, list[dict[str, Any]]] = {}
    for dimension, counts in _label_counts(pairs, ones(pairs)).items():
        given = counts.hit + counts.alarm
        columns = (_ratio(counts.hit, given), _ratio(counts.hit, counts.support), counts.f1, counts.support, given)
        tables[dimension] = [
            {
                "label": label.id,
                "zh": label.zh,
                "en": label.en,
                "precision": float(precision),
                "recall": float(recall),
                "f1": float(f1),
                "support": int(support),
                "predicted": int(predicted),
            }
            for label, precision, recall, f1, support, predicted in zip(
                names[dimension], *(column[0] for column in columns), strict=True
            )
        ]
    return tables


def severity_confusion(pairs: Pairs) -> list[list[int]]:
    """Rows by gold level (first index) and predicted level (second)."""
    table = np.zeros((pairs.taxonomy.levels, pairs.taxonomy.levels), dtype=int)
    np.add.at(table, (pairs.gold.severity, pairs.predicted.severity), 1)
    return [[int(cell) for cell in line] for line in table]


def worst_cases(pairs: Pairs, limit: int = 15) -> dict[str, list[str]]:
    """Ids of the most confident rows with a wrong primary cause, and of the biggest severity misses.

    Of equal misses the underestimated come first: they are what hurts a customer.
    """
    wrong = np.flatnonzero(~pairs.right)
    sure = pairs.confidence if pairs.confidence is not None else np.zeros(len(pairs.ids))
    confident = wrong[np.argsort(-sure[wrong], kind="stable")]
    off = pairs.gold.severity - pairs.predicted.severity
    missed = np.lexsort((-off, -np.abs(off)))
    return {
        "confident": [pairs.ids[i] for i in confident[:limit]] if pairs.confidence is not None else [],
        "severity": [pairs.ids[i] for i in missed[:limit] if off[i]],
    }
