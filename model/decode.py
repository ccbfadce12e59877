"""Logits to calibrated probabilities, labels, confidence and a decision, for n texts at once.

Computed row by row in double precision: a text decodes the same alone and in a crowd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.decoding import Decoding
from model.engine import Logits
from model.taxonomy import Taxonomy

Array = npt.NDArray[np.float64]
# Features of the confidence are kept within this, so that one extreme logit cannot rule it.
LOGIT_LIMIT = 10.0
AUTO, SUGGEST, REVIEW = "auto", "suggest", "review"
# Share of level 0's probability that counts in the mean level of a complaint.
DOUBT = 0.25
# Closer to the complaint threshold than this, "is it a complaint?" itself is in doubt.
_COMPLAINT_MARGIN = 0.15


@dataclass(frozen=True, slots=True)
class Decoded:
    """Labels of n texts by number, with the probabilities behind them.

    ``causes`` [n, C], ``motives`` [n, M], ``severity`` [n, S] and ``style`` [n, K] are
    probabilities; ``cause_scores`` and ``motive_scores`` the logits they come from, scaled
    and shifted. ``chosen_causes`` and ``chosen_motives`` hold label numbers, most probable
    first, empty for a non-complaint, whose level is 0 and whose style is the neutral one.
    """

    cause_scores: Array
    motive_scores: Array
    causes: Array
    motives: Array
    severity: Array
    style: Array
    complaint_probability: Array
    is_complaint: npt.NDArray[np.bool_]
    level: npt.NDArray[np.int64]
    chosen_causes: tuple[tuple[int, ...], ...]
    chosen_motives: tuple[tuple[int, ...], ...]
    chosen_style: npt.NDArray[np.int64]
    confidence: Array
    decision: tuple[str, ...]
    review_reasons: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.causes)


def sigmoid(scores: Array) -> Array:
    """Logistic function, exact at both ends and without overflow."""
    small = np.exp(-np.abs(scores))
    return np.asarray(np.where(scores >= 0, 1.0, small) / (1.0 + small), np.float64)


def softmax(scores: Array) -> Array:
    """Softmax along the last axis."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True), np.float64)


def complaint_logit(severity_scores: Array) -> Array:
    """Log-odds [n] of "is a complaint" from scaled severity scores [n, S]: levels above 0 against level 0."""
    above = severity_scores[:, 1:]
    highest = above.max(axis=1)
    together = highest + np.log(np.exp(above - highest[:, None]).sum(axis=1))
    return np.asarray(together - severity_scores[:, 0], np.float64)


def expected_level(severity_scores: Array) -> Array:
    """Mean level [n] of a complaint, drawn down by doubt whether it is one; from scaled severity scores [n, S].

    Level 0 counts with ``DOUBT`` of its probability: a text that may be no complaint at all is
    the costliest to place high. Measured: +1 point of quadratic kappa on every held-out set,
    at the same recall of critical texts.
    """
    weights = softmax(severity_scores)
    weights[:, 0] *= DOUBT
    return np.asarray((weights * np.arange(severity_scores.shape[1])).sum(axis=1) / weights.sum(axis=1), np.float64)


def confidence_features(cause_scores: Array, severity_scores: Array) -> Array:
    """What confidence is regressed on [n, 3]: logits of the first cause, the second cause and "is a complaint".

    From scaled scores (logits over temperature), each clipped to ±``LOGIT_LIMIT``. With a
    single cause in the taxonomy the second counts as impossible.
    """
    ordered = -np.sort(-cause_scores, axis=1)
    second = ordered[:, 1] if ordered.shape[1] > 1 else np.full(len(ordered), -LOGIT_LIMIT)
    features = np.stack([ordered[:, 0], second, complaint_logit(severity_scores)], axis=1)
    return np.clip(features, -LOGIT_LIMIT, LOGIT_LIMIT)


def choose(scores: Array, probabilities: Array, thresholds: tuple[float, ...], limit: int) -> list[tuple[int, ...]]:
    """Label numbers of each row by falling score: the first always, others at or above their own threshold.

    Equal scores keep the order of the taxonomy; at most ``limit`` labels a row.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :limit]
    passed = np.take_along_axis(probabilities >= np.asarray(thresholds), order, axis=1)
    passed[:, :1] = True
    return [tuple(row[keep].tolist()) for row, keep in zip(order, passed, strict=True)]


def group_probabilities(causes: Array, taxonomy: Taxonomy) -> Array:
    """Probability of each cause group [n, G]: that of its most probable leaf (0 for a group without leaves)."""
    return np.stack([causes[:, leaves].max(axis=1, initial=0.0) for leaves in taxonomy.leaves_of.values()], axis=1)


def decode(logits: Logits, decoding: Decoding, taxonomy: Taxonomy) -> Decoded:
    """Labels, probabilities, confidence and decision of n texts (n may be 0)."""
    scale = decoding.temperature
    cause_scores = logits.causes.astype(np.float64) / scale.causes
    motive_scores = (logits.motives.astype(np.float64) + decoding.motive_offsets) / scale.motives
    severity_scores = logits.severity.astype(np.float64) / scale.severity
    style = softmax((logits.style.astype(np.float64) + decoding.style_offsets) / scale.style)
    causes, motives, severity = sigmoid(cause_scores), sigmoid(motive_scores), softmax(severity_scores)

    complaint_probability = 1.0 - severity[:, 0]
    is_complaint = complaint_probability >= decoding.complaint_threshold
    cuts = np.asarray(decoding.severity_cuts, np.float64)
    level = 1 + (expected_level(severity_scores)[:, None] > cuts).sum(axis=1)
    neutral = taxonomy.style_ids.index(taxonomy.neutral_style)
    features = confidence_features(cause_scores, severity_scores)
    of_cause = sigmoid((features * decoding.confidence.weights).sum(axis=1) + decoding.confidence.bias)
    none = decoding.no_complaint_confidence
    of_none = sigmoid(-complaint_logit(severity_scores) * none.weights[0] + none.bias)
    confidence = np.where(is_complaint, of_cause, of_none)

    chosen_causes = choose(cause_scores, causes, decoding.cause_thresholds, decoding.max_causes)
    chosen_motives = choose(motive_scores, motives, decoding.motive_thresholds, decoding.max_motives)
    decisions = tuple(
        AUTO if sure >= decoding.auto_confidence else SUGGEST if sure >= decoding.suggest_confidence else REVIEW
        for sure in confidence.tolist()
    )
    reasons = []
    for row, decision in enumerate(decisions):
        found: list[str] = []
        if decision != AUTO:
            found.append("low_confidence")
            if abs(complaint_probability[row] - decoding.complaint_threshold) < _COMPLAINT_MARGIN:
                found.append("complaint_uncertain")
            if is_complaint[row]:
                first_cause, first_motive = chosen_causes[row][0], chosen_motives[row][0]
                if causes[row, first_cause] < decoding.cause_thresholds[first_cause]:
                    found.append("cause_below_threshold")
                if motives[row, first_motive] < decoding.motive_thresholds[first_motive]:
                    found.append("motive_below_threshold")
        reasons.append(tuple(found))
    return Decoded(
        cause_scores=cause_scores,
        motive_scores=motive_scores,
        causes=causes,
        motives=motives,
        severity=severity,
        style=style,
        complaint_probability=complaint_probability,
        is_complaint=is_complaint,
        level=np.where(is_complaint, level, 0),
        chosen_causes=tuple(c if yes else () for c, yes in zip(chosen_causes, is_complaint, strict=True)),
        chosen_motives=tuple(m if yes else () for m, yes in zip(chosen_motives, is_complaint, strict=True)),
        chosen_style=np.where(is_complaint, style.argmax(axis=1), neutral),
        confidence=confidence,
        decision=decisions,
        review_reasons=tuple(reasons),
    )
