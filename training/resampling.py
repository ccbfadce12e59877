"""How far chance moves a figure: bootstrap intervals, alone and of a difference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from model.taxonomy import Taxonomy
from training.metrics import figures, ones
from training.pairs import Floats, Pairs, Row, pair_up


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
    plain = [figures(side, ones(side)) for side in sides]
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
