"""Temperatures, thresholds and confidence, fitted on held-out rows with the model that answers.

Few rows carry a rare label, so every threshold is the mean over bootstrap resamples of the
held-out rows (bagging, Breiman 1996) and a label's own threshold is drawn towards the common
one the less support it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from data import gaps
from data.schema import LabelledText
from model.decode import complaint_logit, confidence_features, decode, expected_level, sigmoid, softmax
from model.decoding import Confidence, Decoding, Temperature
from model.engine import HEADS, Logits
from model.errors import InvalidInput
from model.taxonomy import Taxonomy
from training.targets import many_hot

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MINIMUM_ROWS = 50
RESAMPLES = 24
# Rows of a label at which its own threshold counts as much as the common one.
SHRINKAGE = 20.0
# A decision band is only opened when at least this many held-out rows lie in it.
MINIMUM_BAND = 20
# Rows of one origin from which on a band has to hold its precision among them, too.
MINIMUM_ORIGIN = 200
NEVER = 1.01
# Folds that confidence is cross-validated in; with fewer right or wrong rows there is nothing to regress on.
FOLDS = 5


@dataclass(frozen=True)
class Gold:
    """Held-out labels as arrays: multi-hot causes and motives, primary numbers (-1: none), severity, style."""

    causes: Floats
    motives: Floats
    primary_cause: Ints
    primary_motive: Ints
    severity: Ints
    style: Ints

    @property
    def told_cause(self) -> npt.NDArray[np.bool_]:
        """Rows of which it is known what their causes are: not the complaints to which nobody gave one, [n]."""
        return (self.severity == 0) | (self.primary_cause >= 0)

    @classmethod
    def of(cls, rows: Sequence[LabelledText], taxonomy: Taxonomy) -> Gold:
        """From labelled rows of ``taxonomy``."""
        causes, motives = taxonomy.cause_ids, taxonomy.motive_ids
        return cls(
            causes=np.array([many_hot(row.causes, causes) for row in rows]),
            motives=np.array([many_hot(row.motives, motives) for row in rows]),
            primary_cause=np.array([causes.index(row.causes[0]) if row.causes else -1 for row in rows]),
            primary_motive=np.array([motives.index(row.motives[0]) if row.motives else -1 for row in rows]),
            severity=np.array([row.severity for row in rows]),
            style=np.array([taxonomy.style_ids.index(row.style) for row in rows]),
        )


def fit_temperature(loss: Callable[[float], float]) -> float:
    """The temperature between 0.3 and 5 with the least held-out ``loss`` (Guo et al. 2017)."""
    found = minimize_scalar(lambda log: loss(float(np.exp(log))), bounds=(np.log(0.3), np.log(5.0)), method="bounded")
    return float(np.exp(found.x))


def _binary_nll(scores: Floats, targets: Floats) -> float:
    return float((np.logaddexp(0.0, scores) - targets * scores).mean())


def _categorical_nll(scores: Floats, targets: Ints) -> float:
    probabilities = softmax(scores)[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(probabilities, 1e-12)).mean())


def _temperatures(logits: Logits, gold: Gold) -> Temperature:
    causes, motives, severity, style = (getattr(logits, head).astype(np.float64) for head in HEADS)
    complaint, told = gold.severity > 0, gold.told_cause
    return Temperature(
        causes=fit_temperature(lambda t: _binary_nll(causes[told] / t, gold.causes[told])),
        motives=fit_temperature(lambda t: _binary_nll(motives / t, gold.motives)),
        severity=fit_temperature(lambda t: _categorical_nll(severity / t, gold.severity)),
        style=fit_temperature(lambda t: _categorical_nll(style[complaint] / t, gold.style[complaint])),
    )


def _f1(true: Floats, wrong: Floats) -> Floats:
    return 2 * true / np.maximum(2 * true + wrong, 1e-9)


def _plateau(candidates: Floats, scores: Floats, slack: float = 1e-9) -> float:
    """The middle of the best candidates: the optimum least sensitive to a single row."""
    return float(candidates[scores >= scores.max() - slack].mean())


def _complaint_threshold(probability: Floats, complaint: npt.NDArray[np.bool_]) -> float:
    candidates = np.arange(0.2, 0.81, 0.02)
    predicted = probability[:, None] >= candidates
    true = (predicted & complaint[:, None]).sum(0)
    return _plateau(candidates, _f1(true, (predicted != complaint[:, None]).sum(0)))


def _cause_thresholds(probabilities: Floats, is_complaint: npt.NDArray[np.bool_], gold: Floats) -> Floats:
    """A common threshold of best micro-F1, then each label's own of best F1, shrunk towards it."""
    candidates = np.arange(0.10, 0.81, 0.02)
    top = np.zeros_like(probabilities, dtype=bool)
    top[np.arange(len(top)), probabilities.argmax(1)] = True
    predicted = ((probabilities[None] >= candidates[:, None, None]) | top[None]) & is_complaint[None, :, None]
    truth = gold[None] > 0
    true, wrong = (predicted & truth).sum(1), (predicted != truth).sum(1)
    common = _plateau(candidates, _f1(true.sum(1), wrong.sum(1)))
    support = gold.sum(0)
    smoothed = _f1(true + 1.0, wrong + 1.0)
    own = np.array([_plateau(candidates, smoothed[:, label]) for label in range(gold.shape[1])])
    # A label hardly seen tells nothing of its own best threshold.
    return (support * own + SHRINKAGE * common) / (support + SHRINKAGE)


def _macro_f1(predicted: Ints, gold: Ints, labels: int) -> float:
    scores = []
    for label in range(labels):
        if (gold == label).any():
            right = ((predicted == label) & (gold == label)).sum()
            scores.append(2 * right / max(1, (predicted == label).sum() + (gold == label).sum()))
    return float(np.mean(scores)) if scores else 0.0


def _class_offsets(scores: Floats, gold: Ints, *, accuracy_share: float, limit: float = 1.5) -> Floats:
    """Offsets that raise macro-F1 of the best-scored class, by coordinate ascent; large ones must pay for themselves.

    Zeros where there are no rows: a resample of few complaints may hold none.
    """
    labels = scores.shape[1]
    offsets = np.zeros(labels)
    if not len(gold):
        return offsets
    steps = np.arange(-limit, limit + 0.01, 0.25)

    def value(candidate: Floats) -> float:
        predicted = (scores + candidate).argmax(1)
        accuracy = float((predicted == gold).mean())
        return _macro_f1(predicted, gold, labels) + accuracy_share * accuracy - 0.004 * float(np.abs(candidate).sum())

    for _ in range(2):
        for label in range(labels):
            trials = [np.where(np.arange(labels) == label, step, offsets) for step in steps]
            offsets = max(trials, key=value)
    return offsets - offsets.mean()


def _motive_thresholds(probabilities: Floats, gold: Floats) -> float:
    """One threshold for every further motive, of best micro-F1 given that the first is always named."""
    candidates = np.arange(0.2, 0.91, 0.02)
    if probabilities.shape[1] < 2:
        return float(candidates.mean())  # no further motive to name
    order = np.argsort(-probabilities, axis=1)[:, :2]
    scores = []
    for candidate in candidates:
        predicted = np.zeros_like(gold, dtype=bool)
        rows = np.arange(len(gold))
        predicted[rows, order[:, 0]] = True
        second = probabilities[rows, order[:, 1]] >= candidate
        predicted[rows[second], order[second, 1]] = True
        true = float((predicted & (gold > 0)).sum())
        scores.append(2 * true / max(1.0, predicted.sum() + gold.sum()))
    return _plateau(candidates, np.array(scores))


def _kappa(predicted: Ints, gold: Ints, levels: int) -> float:
    observed = np.zeros((levels, levels))
    np.add.at(observed, (gold, predicted), 1.0)
    distance = np.subtract.outer(np.arange(levels), np.arange(levels)) ** 2
    expected = np.outer(observed.sum(1), observed.sum(0)) / observed.sum()
    return float(1 - (distance * observed).sum() / max(1e-9, (distance * expected).sum()))


def _severity_cuts(expected: Floats, is_complaint: npt.NDArray[np.bool_], gold: Ints, levels: int) -> Floats:
    """Cuts on the expected level that give the best quadratic kappa, by coordinate ascent."""
    cuts = np.arange(1, levels - 1) + 0.5

    def value(candidate: Floats) -> float:
        level = 1 + (expected[:, None] > np.sort(candidate)).sum(1)
        return _kappa(np.where(is_complaint, level, 0), gold, levels)

    for width in (0.3, 0.15):
        for place in range(len(cuts)):
            steps = cuts[place] + np.arange(-width, width + 0.01, 0.05)
            trials = [np.where(np.arange(len(cuts)) == place, step, cuts) for step in steps]
            scores = np.array([value(trial) for trial in trials])
            cuts[place] = _plateau(steps, scores, 1e-4)
    return np.sort(cuts)


def _thresholds(logits: Logits, gold: Gold, decoding: Decoding, rows: Ints, taxonomy: Taxonomy) -> dict[str, Floats]:
    """All thresholds on one resample of the held-out rows."""
    scale = decoding.temperature
    cause_scores = logits.causes[rows].astype(np.float64) / scale.causes
    motive_logits = logits.motives[rows].astype(np.float64)
    severity_scores = logits.severity[rows].astype(np.float64) / scale.severity
    style_logits = logits.style[rows].astype(np.float64)
    severity, told = gold.severity[rows], gold.told_cause[rows]
    complaint = severity > 0
    probability = sigmoid(complaint_logit(severity_scores))
    threshold = _complaint_threshold(probability, complaint)
    predicted = probability >= threshold
    offsets = _class_offsets(motive_logits[complaint], gold.primary_motive[rows][complaint], accuracy_share=0.3)
    shifted = sigmoid((motive_logits + offsets) / scale.motives)
    second = _motive_thresholds(shifted[complaint], gold.motives[rows][complaint])
    return {
        "complaint_threshold": np.array(threshold),
        "cause_thresholds": _cause_thresholds(sigmoid(cause_scores[told]), predicted[told], gold.causes[rows][told]),
        "motive_offsets": offsets,
        "motive_thresholds": np.full(motive_logits.shape[1], second),
        "severity_cuts": _severity_cuts(expected_level(severity_scores), predicted, severity, taxonomy.levels),
        "style_offsets": _class_offsets(style_logits[complaint], gold.style[rows][complaint], accuracy_share=1.0),
    }


def confidence_threshold(
    confidence: Floats, right: npt.NDArray[np.bool_], precision: float, parts: Sequence[npt.NDArray[np.bool_]] = ()
) -> float:
    """The least confidence from which on at least ``precision`` of the rows are right; ``NEVER`` where none is.

    Rows are taken most confident first; the band reaches as far as its precision holds, also among the rows of each
    of ``parts`` (masks) of which ``MINIMUM_BAND`` are in it.
    """
    order = np.argsort(-confidence, kind="stable")
    falling = confidence[order]

    def holds(part: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], Ints]:
        rows = np.cumsum(part[order], dtype=np.int64)
        return np.cumsum((right & part)[order]) >= precision * rows, rows

    whole, rows = holds(np.ones(len(order), bool))
    # Rows of equal confidence are decided alike: the band ends after the last of them.
    enough = whole & (rows >= MINIMUM_BAND) & np.append(falling[1:] < falling[:-1], True)[: len(order)]
    for part in parts:
        inside, rows = holds(part)
        enough &= inside | (rows < MINIMUM_BAND)
    reached = np.flatnonzero(enough)
    return float(falling[reached[-1]]) if len(reached) else NEVER


def check_rows(rows: Sequence[LabelledText]) -> None:
    """Raise InvalidInput unless held-out ``rows`` are enough to fit thresholds on, and complaints have causes."""
    complaints = sum(row.severity > 0 for row in rows)
    if len(rows) < MINIMUM_ROWS or complaints in (0, len(rows)):
        raise InvalidInput(
            f"calibration needs at least {MINIMUM_ROWS} held-out rows with complaints and non-complaints among them; "
            f"these are {len(rows)} rows with {complaints} complaints: hold out more labelled rows"
        )
    if len(gaps.without(rows, "causes")) == complaints:
        raise InvalidInput(f"calibration needs complaints with causes; {gaps.notes(rows)[0]}")


def fit_decoding(
    logits: Logits,
    rows: Sequence[LabelledText],
    taxonomy: Taxonomy,
    *,
    max_tokens: int,
    auto_precision: float = 0.95,
    suggest_precision: float = 0.75,
    seed: int = 0,
) -> Decoding:
    """Everything in ``decoding.json``, from logits of held-out ``rows``.

    ``auto`` is opened where the primary cause (or "no complaint") is right ``auto_precision`` of the time, by
    cross-validated confidence, in all rows and in those of each ``origin`` with ``MINIMUM_ORIGIN`` of them;
    ``suggest`` below it, where it is right ``suggest_precision`` of the time. Raises
    InvalidInput for fewer than ``MINIMUM_ROWS`` rows or rows that are all, or none, complaints.
    """
    check_rows(rows)
    gold = Gold.of(rows, taxonomy)
    decoding = replace(Decoding.uncalibrated(taxonomy, max_tokens), temperature=_temperatures(logits, gold))
    rng = np.random.default_rng(seed)
    everything = np.arange(len(rows))
    resamples = [everything, *(rng.choice(everything, len(rows)) for _ in range(RESAMPLES))]
    fitted = [_thresholds(logits, gold, decoding, sample, taxonomy) for sample in resamples]
    mean = {name: np.mean([one[name] for one in fitted], axis=0) for name in fitted[0]}
    decoding = replace(
        decoding,
        complaint_threshold=float(mean["complaint_threshold"]),
        cause_thresholds=tuple(mean["cause_thresholds"].tolist()),
        motive_offsets=tuple(mean["motive_offsets"].tolist()),
        motive_thresholds=tuple(mean["motive_thresholds"].tolist()),
        severity_cuts=tuple(mean["severity_cuts"].tolist()),
        style_offsets=tuple(mean["style_offsets"].tolist()),
    )
    origins = np.array([row.origin or "" for row in rows])
    return _with_confidence(decoding, logits, gold, origins, taxonomy, auto_precision, suggest_precision)


def _regressed(features: Floats, target: npt.NDArray[np.bool_]) -> tuple[Confidence, Floats] | None:
    """Logistic regression of ``target`` and its cross-validated probabilities; None where (almost) all are right.

    Where (almost) none are, the confidence of all is that share (Laplace's rule), not what the model thinks of itself.
    """
    if len(target) > 0 and target.sum() < FOLDS:
        share = (target.sum() + 1) / (len(target) + 2)
        bias = float(np.log(share / (1 - share)))
        return Confidence((0.0,) * features.shape[1], bias), np.full(len(target), share)
    if (~target).sum() < FOLDS:
        return None
    regression = LogisticRegression(C=1.0)
    held_out = cross_val_predict(regression, features, target, cv=FOLDS, method="predict_proba")[:, 1]
    regression.fit(features, target)
    return Confidence(tuple(regression.coef_[0].tolist()), float(regression.intercept_[0])), held_out


def _with_confidence(
    decoding: Decoding,
    logits: Logits,
    gold: Gold,
    origins: npt.NDArray[np.str_],
    taxonomy: Taxonomy,
    auto_precision: float,
    suggest_precision: float,
) -> Decoding:
    """Regress "the answer is right" on the scores, then choose the two decision thresholds.

    Right is a complaint whose primary cause is, or a non-complaint that is none; complaints whose cause
    nobody told are judged neither way, unless they were taken for no complaint. Where (almost) all are right,
    confidence stays the probability of the first cause, or of "no complaint". The band of ``suggest`` has to
    hold its own precision: the surer rows above it must not pay for worse ones.
    """
    decoded = decode(logits, decoding, taxonomy)
    named = decoded.is_complaint
    first = np.array([causes[0] if causes else -1 for causes in decoded.chosen_causes])
    right = np.where(named, (first == gold.primary_cause) & (gold.severity > 0), gold.severity == 0)
    judged = gold.told_cause | ~named
    severity_scores = logits.severity.astype(np.float64) / decoding.temperature.severity
    confidence = decoded.confidence.copy()
    answered = named & judged
    if found := _regressed(confidence_features(decoded.cause_scores, severity_scores)[answered], right[answered]):
        decoding = replace(decoding, confidence=found[0])
        confidence[answered] = found[1]
    if found := _regressed(-complaint_logit(severity_scores)[~named, None], right[~named]):
        decoding = replace(decoding, no_complaint_confidence=found[0])
        confidence[~named] = found[1]
    confidence, right, origins = confidence[judged], right[judged], origins[judged]
    # Written texts are easier than real ones, which must not pay for it.
    names, counts = np.unique(origins, return_counts=True)
    parts = [origins == name for name in names[counts >= MINIMUM_ORIGIN]]
    auto = confidence_threshold(confidence, right, auto_precision, parts)
    below = confidence < auto
    suggest = confidence_threshold(confidence[below], right[below], suggest_precision)
    return replace(decoding, auto_confidence=auto, suggest_confidence=min(auto, suggest))
