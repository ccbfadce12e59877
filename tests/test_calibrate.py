from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.schema import LabelledText
from model.decode import decode, sigmoid, softmax
from model.decoding import Decoding
from model.engine import HEADS, Logits
from model.errors import InvalidInput
from model.taxonomy import Taxonomy, parse_taxonomy
from tests.tiny import SMALL_TAXONOMY
from training import calibrate as module
from training.calibrate import MINIMUM_BAND, NEVER, Gold, confidence_threshold, fit_decoding

SMALL = parse_taxonomy(SMALL_TAXONOMY, Path("toy.yaml"))


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 3)


def drawn(taxonomy: Taxonomy, rows: int, *, scale: float = 1.0, seed: int = 0) -> tuple[Logits, list[LabelledText]]:
    """Labels drawn from the probabilities of random logits, and those logits made ``scale`` times too large."""
    rng = np.random.default_rng(seed)

    def scores(size: int, spread: float) -> np.ndarray:
        return rng.normal(scale=spread, size=(rows, size))

    causes, motives = scores(len(taxonomy.causes), 2.5) - 1, scores(len(taxonomy.motives), 2.5) - 1
    severity, style = scores(taxonomy.levels, 2.0), scores(len(taxonomy.styles), 2.0)

    def pick(of: np.ndarray) -> list[int]:
        return [int(rng.choice(len(p), p=p)) for p in softmax(of)]

    def several(of: np.ndarray, ids: tuple[str, ...], row: int) -> list[str]:
        order = np.argsort(-of[row])
        return [ids[i] for i in order if rng.random() < sigmoid(of[row])[i]]

    levels, styles, texts = pick(severity), pick(style), []
    for row in range(rows):
        labels = {
            "causes": several(causes, taxonomy.cause_ids, row),
            "motives": several(motives, taxonomy.motive_ids, row),
        }
        if levels[row] == 0 or not any(labels.values()):
            labels, levels[row] = {}, 0
        texts.append(
            LabelledText.parse(
                {
                    "id": str(row),
                    "text": f"第{row}件",
                    "severity": levels[row],
                    "style": taxonomy.style_ids[styles[row]],
                    **labels,
                },
                taxonomy,
            )
        )
    return Logits(*(scale * x.astype(np.float32) for x in (causes, motives, severity, style))), texts


def check_sane(decoding: Decoding, taxonomy: Taxonomy) -> None:
    """What a ``decoding.json`` must fulfil, by its own reader, and no number at the far end."""
    assert Decoding.parse(json.loads(json.dumps(decoding.to_dict())), taxonomy, Path("decoding.json")) == decoding
    assert all(0.05 < threshold < 0.95 for threshold in (*decoding.cause_thresholds, *decoding.motive_thresholds))
    assert 0.15 < decoding.complaint_threshold < 0.85
    assert all(abs(offset) < 3.01 for offset in (*decoding.motive_offsets, *decoding.style_offsets))
    assert all(later >= earlier for earlier, later in itertools.pairwise(decoding.severity_cuts))
    assert all(level < cut < level + 1 for level, cut in enumerate(decoding.severity_cuts, 1))


@pytest.mark.parametrize("wanted", [0.5, 1.0, 2.5])
def test_fit_temperature_finds_the_known_one(wanted: float) -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(scale=2, size=(4000, 3))
    binary = (rng.random(true.shape) < sigmoid(true)).astype(float)
    found = module.fit_temperature(lambda t: module._binary_nll(wanted * true / t, binary))
    assert found == pytest.approx(wanted, rel=0.07)
    classes = np.array([rng.choice(3, p=p) for p in softmax(true)])
    found = module.fit_temperature(lambda t: module._categorical_nll(wanted * true / t, classes))
    assert found == pytest.approx(wanted, rel=0.07)


def test_fit_temperature_stays_within_bounds() -> None:
    assert module.fit_temperature(lambda t: t) == pytest.approx(0.3, rel=0.01)
    assert module.fit_temperature(lambda t: -t) == pytest.approx(5.0, rel=0.01)


def test_fit_decoding_undoes_overconfidence() -> None:
    logits, rows = drawn(SMALL, 1500, scale=2.0)
    decoding = fit_decoding(logits, rows, SMALL, max_tokens=64)
    check_sane(decoding, SMALL)
    assert decoding.temperature.style == pytest.approx(2.0, rel=0.25)
    assert decoding.temperature.severity == pytest.approx(2.0, rel=0.35)
    assert decoding.max_tokens == 64


def test_fit_decoding_is_no_worse_than_the_start_and_depends_on_the_seed_alone() -> None:
    logits, rows = drawn(SMALL, 600, scale=2.0)
    fitted = fit_decoding(logits, rows, SMALL, max_tokens=64, seed=1)
    assert fitted == fit_decoding(logits, rows, SMALL, max_tokens=64, seed=1)
    gold = Gold.of(rows, SMALL)

    def f1(decoding: Decoding) -> float:
        chosen = decode(logits, decoding, SMALL).chosen_causes
        given = np.array([[float(c in row) for c in range(len(SMALL.causes))] for row in chosen])
        return float(2 * (given * gold.causes).sum() / (given.sum() + gold.causes.sum()))

    assert f1(fitted) >= f1(Decoding.uncalibrated(SMALL, 64)) - 0.01


def test_fit_decoding_opens_the_bands_it_promises() -> None:
    logits, rows = drawn(SMALL, 1500)
    decoding = fit_decoding(logits, rows, SMALL, max_tokens=64, auto_precision=0.9, suggest_precision=0.6)
    decoded, gold = decode(logits, decoding, SMALL), Gold.of(rows, SMALL)
    chosen = np.array([causes[0] if causes else -1 for causes in decoded.chosen_causes])
    right = np.where(decoded.is_complaint, chosen == gold.primary_cause, gold.severity == 0)
    judged = gold.told_cause | ~decoded.is_complaint
    for band, least in (("auto", 0.87), ("suggest", 0.57)):
        rows_of = (np.array(decoded.decision) == band) & judged
        assert rows_of.sum() >= MINIMUM_BAND
        assert least < right[rows_of].mean() < least + 0.1
    assert decoding.suggest_confidence < decoding.auto_confidence


def test_fit_decoding_holds_its_promise_in_every_larger_origin() -> None:
    logits, rows = drawn(SMALL, 2000)
    # The second half is labelled at odds with the model oftener than the first.
    rng = np.random.default_rng(4)
    harder = [
        row.model_copy(
            update={
                "origin": "real",
                **({"causes": SMALL.cause_ids[:1], "severity": 2} if rng.random() < 0.1 else {}),
            }
        )
        for row in rows[1000:]
    ]
    mixed = [*(row.model_copy(update={"origin": "authored"}) for row in rows[:1000]), *harder]

    def found(of: list[LabelledText]) -> tuple[float, float]:
        decoding = fit_decoding(logits, of, SMALL, max_tokens=64, auto_precision=0.85, suggest_precision=0.6)
        decoded, gold = decode(logits, decoding, SMALL), Gold.of(of, SMALL)
        chosen = np.array([causes[0] if causes else -1 for causes in decoded.chosen_causes])
        right = np.where(decoded.is_complaint, chosen == gold.primary_cause, gold.severity == 0)
        automatic = (np.array(decoded.decision) == "auto") & (np.arange(2000) >= 1000)
        return decoding.auto_confidence, float(right[automatic].mean())

    alike = [row.model_copy(update={"origin": ""}) for row in mixed]
    assert found(mixed)[0] > found(alike)[0]
    assert found(alike)[1] < 0.84 < found(mixed)[1]


def test_confidence_threshold_holds_in_every_part_at_once() -> None:
    # One part is wrong early and right later, the other the reverse: the greater of their own thresholds suits neither.
    one = np.linspace(1, 0.5, 300)
    other = np.concatenate([np.linspace(0.999, 0.96, 200), np.linspace(0.95, 0.5, 200)])
    right = np.concatenate([~np.isin(np.arange(300), (3, 9, 15)), np.arange(400) < 200])
    confidence, first = np.concatenate([one, other]), np.arange(700) < 300
    assert confidence_threshold(confidence[first], right[first], 0.95) == 0.5
    threshold = confidence_threshold(confidence, right, 0.95, [first, ~first])
    chosen = confidence >= threshold
    assert chosen.sum() >= MINIMUM_BAND
    heeded = [part for part in (first, ~first) if (part & chosen).sum() >= MINIMUM_BAND]
    assert heeded
    assert all(right[part & chosen].mean() >= 0.95 for part in heeded)


def test_confidence_threshold_heeds_a_part_from_a_bands_rows_on() -> None:
    confidence = np.linspace(1, 0, 400)
    bad = np.arange(400) % 20 == 0  # every 20th row is of an origin that is never right
    right = ~bad
    assert confidence_threshold(confidence, right, 0.9) == 0
    threshold = confidence_threshold(confidence, right, 0.9, [bad])
    assert (bad & (confidence >= threshold)).sum() == MINIMUM_BAND - 1


@pytest.mark.parametrize("kept", ["first cause and motive", "no motive", "two complaints", "two others"])
def test_fit_decoding_bears_labels_nobody_has(taxonomy: Taxonomy, kept: str) -> None:
    logits, rows = drawn(taxonomy, 80, seed=3)
    first = {"causes": taxonomy.cause_ids[:1], "motives": taxonomy.motive_ids[:1]}
    others = [row.model_copy(update={"causes": (), "motives": (), "severity": 0}) for row in rows]
    complaints = [row.model_copy(update={**first, "severity": 2}) for row in rows]
    half = [*complaints[:40], *others[40:]]
    chosen = {
        "first cause and motive": half,
        "no motive": [row.model_copy(update={"motives": ()}) for row in half],
        "two complaints": [*complaints[:2], *others[2:]],
        "two others": [*others[:2], *complaints[2:]],
    }[kept]
    check_sane(fit_decoding(logits, chosen, taxonomy, max_tokens=64), taxonomy)


def test_fit_decoding_of_the_smallest_taxonomy() -> None:
    one = replace(
        SMALL,
        causes=SMALL.causes[:1],
        motives=SMALL.motives[:1],
        severities=SMALL.severities[:2],
        styles=SMALL.styles[:1],
    )
    logits, rows = drawn(one, 80)
    check_sane(fit_decoding(logits, rows, one, max_tokens=64), one)


@pytest.mark.parametrize("always", [True, False])
def test_fit_decoding_of_a_model_that_is_always_or_never_right(always: bool) -> None:
    logits, rows = drawn(SMALL, 100)
    gold = [SMALL.cause_ids[int(i)] for i in (logits.causes.argmax(1) if always else logits.causes.argmin(1))]
    rows = [
        row.model_copy(update={"causes": (cause,)} if row.severity else {})
        for row, cause in zip(rows, gold, strict=True)
    ]
    sure = np.where(np.array([row.severity for row in rows])[:, None] > 0, -30.0, 30.0) * np.array([1.0, 0, 0, 0])
    logits = replace(logits, severity=sure.astype(np.float32))
    decoded = decode(logits, fit_decoding(logits, rows, SMALL, max_tokens=64), SMALL)
    decisions = {
        named: {d for d, complaint in zip(decoded.decision, decoded.is_complaint, strict=True) if complaint == named}
        for named in (True, False)
    }
    assert decisions[False] == {"auto"}  # which of these texts is a complaint the model always knows
    assert ("auto" in decisions[True]) == always


@pytest.mark.parametrize(("rows", "complaints"), [(49, 20), (60, 0), (60, 60)])
def test_fit_decoding_refuses_rows_it_cannot_learn_from(rows: int, complaints: int) -> None:
    logits, texts = drawn(SMALL, rows)
    labels = {"motives": SMALL.motive_ids[:1], "severity": 1}
    none = {"causes": (), "motives": (), "severity": 0}
    texts = [row.model_copy(update=labels if i < complaints else none) for i, row in enumerate(texts)]
    with pytest.raises(InvalidInput, match=f"{rows} rows with {complaints} complaints"):
        fit_decoding(logits, texts, SMALL, max_tokens=64)


def test_confidence_threshold_reaches_as_far_as_precision_holds() -> None:
    confidence = np.linspace(1, 0, 200)
    right = np.arange(200) < 90
    threshold = confidence_threshold(confidence, right, 0.9)
    chosen = confidence >= threshold
    assert chosen.sum() == 100
    assert right[chosen].mean() == 0.9


def test_confidence_threshold_is_never_without_a_band() -> None:
    assert confidence_threshold(np.linspace(1, 0, 100), np.zeros(100, bool), 0.5) == NEVER
    assert confidence_threshold(np.linspace(1, 0, MINIMUM_BAND - 1), np.ones(MINIMUM_BAND - 1, bool), 0.5) == NEVER
    assert confidence_threshold(np.empty(0), np.empty(0, bool), 0.5) == NEVER


def test_confidence_threshold_does_not_cut_through_equal_confidences() -> None:
    confidence = np.array([0.9] * 20 + [0.5] * 40)
    right = np.array([True] * 20 + [True] * 5 + [False] * 35)
    # Five of the rows at 0.5 would still fit, but whoever takes one takes all.
    assert confidence_threshold(confidence, right, 0.95) == 0.9
    assert confidence_threshold(np.full(30, 0.7), np.arange(30) < 20, 0.9) == NEVER


def test_fit_decoding_blames_no_model_for_complaints_without_a_cause() -> None:
    logits, rows = drawn(SMALL, 1500)
    some = [place for place, row in enumerate(rows) if row.causes][::2]
    # As merged cells leave them: the rows are there, their causes are not.
    merged = [row.model_copy(update={"causes": ()}) if place in some else row for place, row in enumerate(rows)]
    rest = np.setdiff1d(np.arange(len(rows)), some)
    shorter = Logits(*(getattr(logits, head)[rest] for head in HEADS))

    def fitted(of: Logits, labelled: list[LabelledText]) -> Decoding:
        return fit_decoding(of, labelled, SMALL, max_tokens=64, auto_precision=0.9, suggest_precision=0.6)

    with_them, without = fitted(logits, merged), fitted(shorter, [rows[place] for place in rest])
    assert with_them.temperature.causes == pytest.approx(without.temperature.causes)
    assert with_them.cause_thresholds == pytest.approx(without.cause_thresholds, abs=0.1)
    assert with_them.auto_confidence == pytest.approx(without.auto_confidence, abs=0.05)
    assert with_them.auto_confidence < NEVER


def test_fit_decoding_refuses_rows_of_which_no_complaint_has_a_cause() -> None:
    logits, rows = drawn(SMALL, 100)
    bare = [row.model_copy(update={"causes": ()}) for row in rows]
    with pytest.raises(InvalidInput, match=r"complaints with causes; (\d+) of \1 complaints have no cause; .*merged"):
        fit_decoding(logits, bare, SMALL, max_tokens=64)
