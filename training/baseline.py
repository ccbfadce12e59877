"""The yardstick: jieba words and characters, TF-IDF, logistic regression.

What a model of a hundred megabytes must beat to be worth its cost. Everything is linear and
seeded; decisions are chosen on inner folds, never on rows the weights were fitted to.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jieba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from model.errors import InvalidInput
from model.taxonomy import Taxonomy, load_taxonomy
from model.text import normalise
from training.metrics import quadratic_kappa
from training.pairs import Flags, Floats, Ints, Labels, code_labels

# Chosen by log-likelihood on a held-out quarter of the training rows; the figures move little around them.
INVERSE_REGULARISATION = 12.0
SINGLE_INVERSE_REGULARISATION = 6.0
# A rare label's positives weigh (negatives / positives, at most the first) ** the second.
RARE_WEIGHT = (30.0, 0.7)
_GRID = np.linspace(0.05, 0.8, 31)
_WEIGHTS = np.geomspace(0.35, 3.0, 15)
# A label seen less often gets the pooled threshold: its own would follow chance.
_MIN_OWN_THRESHOLD = 15


def _words(text: str) -> list[str]:
    """Words and pairs of neighbouring words."""
    words = jieba.lcut(text)
    return words + [f"{a} {b}" for a, b in itertools.pairwise(words)]


class _Features:
    """Texts to sparse TF-IDF rows: words (1-2 grams) beside characters (1-4 grams)."""

    def __init__(self, texts: Sequence[str]) -> None:
        jieba.setLogLevel("ERROR")
        # On a handful of rows nothing occurs twice, and dropping rare grams would drop all.
        rare = len(texts) >= 200
        options: dict[str, Any] = {"sublinear_tf": True, "dtype": np.float32}
        self._parts = (
            TfidfVectorizer(analyzer=_words, min_df=2 if rare else 1, **options),
            TfidfVectorizer(analyzer="char", ngram_range=(1, 4), min_df=3 if rare else 1, **options),
        )
        for part in self._parts:
            part.fit([normalise(text).text for text in texts])

    def __call__(self, texts: Sequence[str]) -> Any:
        read = [normalise(text).text for text in texts]
        return sparse.hstack([part.transform(read) for part in self._parts], format="csr")


@dataclass(frozen=True)
class _Linear:
    """Logits of several labels: ``features @ weights + bias``."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def sigmoid(self, features: Any) -> Floats:
        logits = np.asarray(features @ self.weights, dtype=float) + self.bias
        return np.asarray(1 / (1 + np.exp(-logits)))

    def softmax(self, features: Any) -> Floats:
        logits = np.asarray(features @ self.weights, dtype=float) + self.bias
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _fitted(model: LogisticRegression, features: Any, target: NDArray[Any]) -> LogisticRegression:
    # On a busy machine the two threads of a tiny matrix product wait for each other longer than one computes.
    with threadpool_limits(1), warnings.catch_warnings():
        # The last digits of the optimum change no decision; the iteration limits bound the time.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, target)


def _one_vs_rest(features: Any, target: Flags, seed: int) -> _Linear:
    """One binary regression for each column of ``target`` [n, L]; a constant column gives its smoothed rate."""
    rows, labels = target.shape
    weights, bias = np.zeros((features.shape[1], labels), np.float32), np.zeros(labels, np.float32)
    for label in range(labels):
        positive = int(target[:, label].sum())
        if 0 < positive < rows:
            most, power = RARE_WEIGHT
            model = LogisticRegression(
                C=INVERSE_REGULARISATION,
                class_weight={True: min(most, (rows - positive) / positive) ** power, False: 1.0},
                solver="liblinear",
                dual=True,
                tol=1e-3,
                max_iter=300,
                random_state=seed,
            )
            model = _fitted(model, features, target[:, label])
            weights[:, label], bias[label] = model.coef_[0], model.intercept_[0]
        else:
            bias[label] = np.log((positive + 0.5) / (rows - positive + 0.5))
    return _Linear(weights, bias)


def _multinomial(features: Any, target: Ints, width: int) -> _Linear:
    """One softmax regression over ``width`` classes; a class without rows gets (almost) no probability."""
    present = np.unique(target)
    weights, bias = np.zeros((features.shape[1], width), np.float32), np.full(width, -30.0, np.float32)
    bias[present] = 0.0
    if len(present) > 1:
        model = _fitted(LogisticRegression(C=SINGLE_INVERSE_REGULARISATION, max_iter=60), features, target)
        # With two classes scikit-learn keeps one row: the log-odds of the second.
        weights[:, present[-len(model.coef_) :]] = model.coef_.T
        bias[present[-len(model.coef_) :]] = model.intercept_
    return _Linear(weights, bias)


@dataclass(frozen=True)
class _Heads:
    causes: _Linear
    motives: _Linear
    severity: _Linear
    style: _Linear

    @classmethod
    def fit(cls, features: Any, gold: Labels, rows: Ints, taxonomy: Taxonomy, seed: int) -> _Heads:
        chosen = features[rows]
        return cls(
            causes=_one_vs_rest(chosen, gold.causes[rows], seed),
            motives=_one_vs_rest(chosen, gold.motives[rows], seed),
            severity=_multinomial(chosen, gold.severity[rows], taxonomy.levels),
            style=_multinomial(chosen, gold.style[rows], len(taxonomy.styles)),
        )

    def probabilities(self, features: Any) -> dict[str, Floats]:
        return {
            "causes": self.causes.sigmoid(features),
            "motives": self.motives.sigmoid(features),
            "severity": self.severity.softmax(features),
            "style": self.style.softmax(features),
        }


def _f1(gold: Flags, given: Flags) -> float:
    return float(2 * (gold & given).sum() / max(1, gold.sum() + given.sum()))


def _thresholds(gold: Flags, probability: Floats) -> Floats:
    """Threshold of each label by its own F1, or the pooled one for rare labels."""
    pooled = max(_GRID, key=lambda t: _f1(gold, probability >= t))
    best = np.full(gold.shape[1], pooled)
    for label in np.flatnonzero(gold.sum(axis=0) >= _MIN_OWN_THRESHOLD):
        scores = [_f1(gold[:, label], probability[:, label] >= t) for t in _GRID]
        best[label] = _GRID[int(np.argmax(scores))]
    return best


def _class_weights(probability: Floats, score: Callable[[Ints], float]) -> Floats:
    """Weights for which ``argmax(probability * weights)`` scores best, by two rounds of coordinate search."""
    weights = np.ones(probability.shape[1])
    best = score(np.argmax(probability, axis=1))
    for label in list(range(len(weights))) * 2:
        for candidate in _WEIGHTS:
            trial = weights.copy()
            trial[label] = candidate
            reached = score(np.argmax(probability * trial, axis=1))
            if reached > best + 1e-6:
                best, weights = reached, trial
    return weights


@dataclass(frozen=True)
class _Decision:
    """How probabilities become labels."""

    causes: Floats
    motives: Floats
    motive_weights: Floats
    severity_weights: Floats

    @classmethod
    def plain(cls, taxonomy: Taxonomy) -> _Decision:
        causes, motives = len(taxonomy.causes), len(taxonomy.motives)
        return cls(np.full(causes, 0.5), np.full(motives, 0.5), np.ones(motives), np.ones(taxonomy.levels))

    @classmethod
    def choose(cls, gold: Labels, found: Mapping[str, Floats], taxonomy: Taxonomy) -> _Decision:
        ones = np.ones((1, len(gold.severity)))
        has_motive = gold.first_motive >= 0
        first = gold.first_motive[has_motive]

        def motive_macro(given: Ints) -> float:
            return float(np.mean([_f1(first == label, given == label) for label in np.unique(first)]))

        def kappa(given: Ints) -> float:
            return float(quadratic_kappa(gold.severity, given, ones, taxonomy.levels)[0])

        plain = cls.plain(taxonomy)
        return cls(
            causes=_thresholds(gold.causes, found["causes"]),
            motives=_thresholds(gold.motives, found["motives"]),
            motive_weights=_class_weights(found["motives"][has_motive], motive_macro)
            if has_motive.any()
            else plain.motive_weights,
            severity_weights=_class_weights(found["severity"], kappa),
        )


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline; see :func:`fit`."""

    taxonomy: Taxonomy
    features: _Features
    heads: _Heads
    decision: _Decision

    def probabilities(self, texts: Sequence[str]) -> dict[str, Floats]:
        """``causes`` [n, causes] and ``motives`` [n, motives] each on its own, ``severity`` and ``style`` summing to 1.

        Columns are in taxonomy order.
        """
        return self.heads.probabilities(self.features(texts))

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Rows as the classifier gives them, without ids, and with ``cause_probabilities``.

        ``decision`` is always "review": a yardstick decides nothing.
        """
        if not texts:
            return []
        taxonomy, found = self.taxonomy, self.probabilities(texts)
        levels = np.argmax(found["severity"] * self.decision.severity_weights, axis=1)
        rows = []
        for i, level in enumerate(levels.tolist()):
            causes: list[str] = []
            motives: list[str] = []
            if level > 0:
                cause, motive = found["causes"][i], found["motives"][i]
                chosen = np.flatnonzero(cause >= self.decision.causes).tolist() or [int(cause.argmax())]
                causes = [taxonomy.cause_ids[c] for c in sorted(chosen, key=lambda c: -cause[c])]
                first = int((motive * self.decision.motive_weights).argmax())
                others = [m for m in np.flatnonzero(motive >= self.decision.motives).tolist() if m != first]
                motives = [taxonomy.motive_ids[m] for m in (first, *sorted(others, key=lambda m: -motive[m]))]
            sure = found["causes"][i].max() if level > 0 else found["severity"][i, 0]
            style = taxonomy.style_ids[int(found["style"][i].argmax())] if level > 0 else taxonomy.neutral_style
            rows.append(
                {
                    "causes": causes,
                    "motives": motives,
                    "severity": level,
                    "style": style,
                    "confidence": float(sure),
                    "decision": "review",
                    "cause_probabilities": dict(zip(taxonomy.cause_ids, found["causes"][i].tolist(), strict=True)),
                }
            )
        return rows


def fit(
    rows: Sequence[Mapping[str, Any]], taxonomy: Taxonomy | None = None, *, folds: int = 4, seed: int = 13
) -> Baseline:
    """Fit on labelled rows (text, causes, motives, severity, style), one thread, deterministic in ``seed``.

    Thresholds come from ``folds`` inner folds; with fewer than two folds (or ten rows a fold)
    plain ones are kept. Raises InvalidInput for no rows or labels outside the taxonomy.
    """
    taxonomy = taxonomy or load_taxonomy()
    if not rows:
        raise InvalidInput("the baseline needs labelled rows to learn from, and there are none")
    gold = code_labels([(str(row.get("id", i)), row) for i, row in enumerate(rows)], taxonomy, "training")
    texts = [row["text"] for row in rows]
    features = _Features(texts)
    read = features(texts)
    everything = np.arange(len(rows))
    decision = _Decision.plain(taxonomy)
    if folds >= 2 and len(rows) >= 10 * folds:
        fold = np.random.default_rng(seed).permutation(len(rows)) % folds
        held_out: dict[str, Floats] = {}
        for number in range(folds):
            heads = _Heads.fit(read, gold, np.flatnonzero(fold != number), taxonomy, seed)
            for name, found in heads.probabilities(read[fold == number]).items():
                held_out.setdefault(name, np.zeros((len(rows), found.shape[1])))[fold == number] = found
        decision = _Decision.choose(gold, held_out, taxonomy)
    return Baseline(taxonomy, features, _Heads.fit(read, gold, everything, taxonomy, seed), decision)
