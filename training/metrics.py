"""How good predictions are: every headline figure, by label, calibrated or not, and how far chance moves it.

All headline figures are computed for a matrix of row weights [R, n] at once: weights of one
are the figures themselves, multinomial counts are R bootstrap resamples. So a figure and its
interval can never follow two definitions.
"""

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

# Leaves with fewer gold rows tell more about chance than about the model: they stay out of the macro average.
MIN_CAUSE_SUPPORT = 10
COVERAGES = (90, 80, 70)
CALIBRATION_BINS = 15
INDEX_PARTS = ("group_macro_f1", "cause_micro_f1", "motive_macro_f1", "severity_qwk")


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

    def macro(self, minimum: int) -> Floats:
        counted = self.support >= minimum
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
        "group_macro_f1": counts["groups"].macro(1),
        "group_primary_accuracy": agree(gold.first_group, predicted.first_group),
        "cause_micro_f1": counts["causes"].micro(),
        "cause_macro_f1": counts["causes"].macro(MIN_CAUSE_SUPPORT),
        "cause_primary_accuracy": agree(gold.first_cause, predicted.first_cause),
        "motive_accuracy": agree(gold.first_motive, predicted.first_motive),
        "motive_macro_f1": counts["motives"].macro(1),
        "motive_any_micro_f1": _Counts.of(gold.motives, predicted.motives, weights).micro(),
        "severity_qwk": quadratic_kappa(gold.severity, predicted.severity, weights, taxonomy.levels),
        "severity_accuracy": weights @ (off == 0) / rows,
        "severity_within_1": weights @ (off <= 1) / rows,
        f"critical_recall_at_{near_top}_or_more": _ratio(
            critical @ (predicted.severity >= near_top), critical.sum(axis=1)
        ),
        "critical_f1": counts["severity"].f1[:, top],
        "style_accuracy": agree(gold.style, predicted.style),
        "style_macro_f1": counts["style"].macro(1),
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


def _ones(pairs: Pairs) -> Floats:
    return np.ones((1, len(pairs.ids)))


def evaluate_pairs(pairs: Pairs) -> dict[str, Any]:
    """All figures of ``pairs``: scalars, and ``group_f1``, ``cause_f1``, ``motive_f1``, ``style_f1`` by label."""
    result: dict[str, Any] = {
        "rows": len(pairs.ids),
        "missing": pairs.missing,
        "complaints": int(pairs.complaints.sum()),
    }
    result |= {key: float(value[0]) for key, value in figures(pairs, _ones(pairs)).items()}
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
    for dimension, counts in _label_counts(pairs, _ones(pairs)).items():
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


def reliability(probability: Floats, right: Flags, bins: int = CALIBRATION_BINS) -> dict[str, Any]:
    """Reliability curve and expected calibration error over bins of equal mass (Nguyen & O'Connor 2015).

    ``curve`` has, per bin, the mean probability, the share that was right, and the rows.
    """
    order = np.argsort(probability, kind="stable")
    curve = [
        {"probability": float(probability[part].mean()), "right": float(right[part].mean()), "rows": len(part)}
        for part in np.array_split(order, min(bins, max(1, len(order))))
        if len(part)
    ]
    gaps = sum(b["rows"] * abs(b["probability"] - b["right"]) for b in curve)
    return {"ece": float(gaps / max(1, len(order))), "rows": len(order), "curve": curve}


def calibration(pairs: Pairs) -> dict[str, Any]:
    """Reliability of ``confidence`` against the primary cause of complaints, and of each cause's probability.

    Empty where the predictions carry neither.
    """
    result: dict[str, Any] = {}
    if pairs.confidence is not None:
        result["confidence"] = reliability(pairs.confidence[pairs.complaints], pairs.right[pairs.complaints])
    if pairs.cause_probabilities is not None:
        found, gold = pairs.cause_probabilities, pairs.gold.causes
        result["causes"] = {
            "overall": reliability(found.ravel(), gold.ravel()),
            "labels": {
                label: {
                    "ece": reliability(found[:, i], gold[:, i])["ece"],
                    "mean_probability": float(found[:, i].mean()),
                    "rate": float(gold[:, i].mean()),
                }
                for i, label in enumerate(pairs.taxonomy.cause_ids)
            },
        }
    return result


def coverage_risk(pairs: Pairs) -> dict[str, Any] | None:
    """Risk of the primary cause among the most confident complaints, for each coverage; None without confidence.

    ``aurc`` is the mean risk over all coverages, ``best_aurc`` that of a perfect ranking of the same
    errors (Geifman & El-Yaniv 2017; Geifman et al. 2019).
    """
    if pairs.confidence is None or not pairs.complaints.any():
        return None
    wrong = ~pairs.right[pairs.complaints]
    kept = np.arange(1, len(wrong) + 1)
    risk = np.cumsum(wrong[np.argsort(-pairs.confidence[pairs.complaints], kind="stable")]) / kept
    best = np.cumsum(np.sort(wrong)) / kept
    return {
        "aurc": float(risk.mean()),
        "best_aurc": float(best.mean()),
        "coverage": (kept / len(wrong)).tolist(),
        "risk": risk.tolist(),
    }


def severity_confusion(pairs: Pairs) -> list[list[int]]:
    """Rows by gold level (first index) and predicted level (second)."""
    table = np.zeros((pairs.taxonomy.levels, pairs.taxonomy.levels), dtype=int)
    np.add.at(table, (pairs.gold.severity, pairs.predicted.severity), 1)
    return [[int(cell) for cell in line] for line in table]


def _resamples(rows: int, resamples: int, seed: int) -> Floats:
    return np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(float)


def _percentiles(values: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap(
    pairs: Pairs, *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile interval of every scalar figure under resampling of rows (Efron 1979); deterministic in ``seed``."""
    drawn = figures(pairs, _resamples(len(pairs.ids), resamples, seed))
    return {key: _percentiles(values, level) for key, values in drawn.items()}


def paired_bootstrap(
    gold: Mapping[str, Row],
    first: Mapping[str, Row],
    second: Mapping[str, Row],
    taxonomy: Taxonomy,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, dict[str, float]]:
    """Difference ``first - second`` of every figure on the rows all three hold, with interval and two-sided p.

    Both sides see the same resamples, so rows hard for both do not widen the interval.
    """
    shared = {key: row for key, row in gold.items() if key in first and key in second}
    sides = [pair_up(shared, side, taxonomy) for side in (first, second)]
    plain = [figures(side, _ones(side)) for side in sides]
    drawn = [figures(side, _resamples(len(shared), resamples, seed)) for side in sides]
    result: dict[str, dict[str, float]] = {}
    for key in (k for k in plain[0] if k in plain[1]):
        difference = drawn[0][key] - drawn[1][key]
        low, high = _percentiles(difference, level)
        # One is added to both counts: no number of resamples shows that a difference is certain.
        tail = 1 + min(int((difference <= 0).sum()), int((difference >= 0).sum()))
        p = min(1.0, 2 * tail / (resamples + 1))
        result[key] = {"difference": float(plain[0][key][0] - plain[1][key][0]), "low": low, "high": high, "p": p}
    return result


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
