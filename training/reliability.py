"""Whether probabilities and confidence can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.pairs import Flags, Floats, Pairs

CALIBRATION_BINS = 15


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

    Empty where the predictions carry neither; without ``confidence`` where no row is a complaint.
    """
    result: dict[str, Any] = {}
    if pairs.confidence is not None and pairs.complaints.any():
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
