from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.decode import (
    DOUBT,
    complaint_logit,
    confidence_features,
    decode,
    expected_level,
    group_probabilities,
    sigmoid,
)
from model.decoding import Confidence, Decoding, Temperature
from model.engine import Logits
from model.taxonomy import Taxonomy, load_taxonomy, parse_taxonomy

TAXONOMY = load_taxonomy()
C, M, S, K = len(TAXONOMY.causes), len(TAXONOMY.motives), TAXONOMY.levels, len(TAXONOMY.styles)
PLAIN = Decoding.uncalibrated(TAXONOMY)


def logits_of(rows: int) -> st.SearchStrategy[Logits]:
    values = st.floats(-60, 60, width=32)
    heads = (arrays(np.float32, (rows, size), elements=values) for size in (C, M, S, K))
    return st.tuples(*heads).map(lambda parts: Logits(*parts))


unit = st.floats(0, 1)
offsets = st.floats(-5, 5)
temperatures = st.floats(0.05, 20)
decodings = st.builds(
    Decoding,
    max_tokens=st.just(256),
    temperature=st.builds(Temperature, temperatures, temperatures, temperatures, temperatures),
    cause_thresholds=st.tuples(*[unit] * C),
    motive_offsets=st.tuples(*[offsets] * M),
    motive_thresholds=st.tuples(*[unit] * M),
    complaint_threshold=unit,
    severity_cuts=st.lists(st.floats(0.5, 5), min_size=S - 2, max_size=S - 2).map(lambda cuts: tuple(sorted(cuts))),
    style_offsets=st.tuples(*[offsets] * K),
    max_causes=st.integers(1, 4),
    max_motives=st.integers(1, 3),
    confidence=st.builds(Confidence, st.tuples(offsets, offsets, offsets), offsets),
    no_complaint_confidence=st.builds(Confidence, st.tuples(offsets), offsets),
    auto_confidence=st.floats(0.5, 1.5),
    suggest_confidence=st.floats(0, 0.5),
)


def single(
    causes: dict[str, float] | None = None, severity: tuple[float, ...] = (0, 9, 0, 0, 0), **more: object
) -> Logits:
    row = np.full((1, C), -4, np.float32)
    for label, value in (causes or {}).items():
        row[0, TAXONOMY.cause_ids.index(label)] = value
    zeros = {"motives": np.zeros((1, M), np.float32), "style": np.zeros((1, K), np.float32)}
    return Logits(causes=row, severity=np.asarray([severity], np.float32), **{**zeros, **more})  # type: ignore[arg-type]


@settings(max_examples=40)
@given(logits_of(3), decodings)
def test_decode_properties(logits: Logits, decoding: Decoding) -> None:
    decoded = decode(logits, decoding, TAXONOMY)
    for values in (decoded.causes, decoded.motives, decoded.severity, decoded.style, decoded.complaint_probability):
        assert ((values >= 0) & (values <= 1)).all()
    assert ((decoded.confidence >= 0) & (decoded.confidence <= 1)).all()
    np.testing.assert_allclose(decoded.severity.sum(axis=1), 1)
    np.testing.assert_allclose(decoded.style.sum(axis=1), 1)
    for row in range(3):
        causes, motives = decoded.chosen_causes[row], decoded.chosen_motives[row]
        if decoded.complaint_probability[row] >= decoding.complaint_threshold:
            assert 1 <= len(causes) <= decoding.max_causes
            assert 1 <= len(motives) <= decoding.max_motives
            assert 1 <= decoded.level[row] < S
            assert decoded.causes[row, causes[0]] == decoded.causes[row].max()
            for label in causes[1:]:
                assert decoded.causes[row, label] >= decoding.cause_thresholds[label]
            for label in motives[1:]:
                assert decoded.motives[row, label] >= decoding.motive_thresholds[label]
        else:
            assert causes == motives == ()
            assert decoded.level[row] == 0
            assert TAXONOMY.style_ids[decoded.chosen_style[row]] == TAXONOMY.neutral_style
        assert list(decoded.causes[row, list(causes)]) == sorted(decoded.causes[row, list(causes)], reverse=True)
        assert len(set(causes)) == len(causes)
        assert (decoded.decision[row] == "auto") == (decoded.review_reasons[row] == ())


@settings(max_examples=40)
@given(logits_of(4), decodings)
def test_decode_of_a_row_is_the_same_alone_and_in_a_batch(logits: Logits, decoding: Decoding) -> None:
    together = decode(logits, decoding, TAXONOMY)
    for row in range(4):
        alone = decode(logits.rows(row, row + 1), decoding, TAXONOMY)
        for field in dataclasses.fields(alone):
            one, many = getattr(alone, field.name), getattr(together, field.name)
            assert np.array_equal(one[0], many[row]) if isinstance(one, np.ndarray) else one[0] == many[row]


def test_decode_of_no_rows() -> None:
    decoded = decode(Logits(*(np.empty((0, n), np.float32) for n in (C, M, S, K))), PLAIN, TAXONOMY)
    assert len(decoded) == 0
    assert decoded.decision == ()
    assert group_probabilities(decoded.causes, TAXONOMY).shape == (0, len(TAXONOMY.groups))


def test_decode_keeps_the_best_cause_below_its_threshold_and_says_so() -> None:
    decoded = decode(single({"price.level": -1.0} if "price.level" in TAXONOMY.cause_ids else {}), PLAIN, TAXONOMY)
    assert len(decoded.chosen_causes[0]) == 1
    assert "cause_below_threshold" in decoded.review_reasons[0]
    assert decoded.decision == ("review",)


def test_decode_orders_causes_and_stops_at_the_limit() -> None:
    names = TAXONOMY.cause_ids[:4]
    decoded = decode(single(dict(zip(names, (1.0, 4.0, 2.0, 3.0), strict=True))), PLAIN, TAXONOMY)
    assert decoded.chosen_causes[0] == (1, 3, 2)


def test_decode_applies_temperature_before_and_offset_before_temperature() -> None:
    decoding = dataclasses.replace(
        PLAIN,
        temperature=Temperature(causes=2.0, motives=4.0, severity=0.5, style=2.0),
        motive_offsets=(2.0,) * M,
        style_offsets=(0.0,) * (K - 1) + (3.0,),
    )
    decoded = decode(single({TAXONOMY.cause_ids[0]: 3.0}), decoding, TAXONOMY)
    assert decoded.causes[0, 0] == pytest.approx(1 / (1 + np.exp(-1.5)))
    assert decoded.motives[0, 0] == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert decoded.severity[0, 0] == pytest.approx(1 / (np.exp(18) + 4), rel=1e-6)
    assert decoded.chosen_style[0] == K - 1


@pytest.mark.parametrize(
    ("severity", "level"),
    [((9, 0, 0, 0, 0), 0), ((0, 9, 0, 0, 0), 1), ((0, 0, 9, 0, 0), 2), ((0, 0, 0, 9, 0), 3), ((0, 0, 0, 0, 9), 4)],
)
def test_decode_level(severity: tuple[float, ...], level: int) -> None:
    assert decode(single(severity=severity), PLAIN, TAXONOMY).level[0] == level


def test_decode_takes_a_complaint_exactly_at_the_threshold() -> None:
    even = single(severity=(0, *[-np.log(S - 1)] * (S - 1)))
    probability = float(decode(even, PLAIN, TAXONOMY).complaint_probability[0])
    decoding = dataclasses.replace(PLAIN, complaint_threshold=probability)
    assert decode(even, decoding, TAXONOMY).is_complaint[0]
    decoded = decode(even, dataclasses.replace(PLAIN, complaint_threshold=probability + 1e-9), TAXONOMY)
    assert not decoded.is_complaint[0]
    assert "complaint_uncertain" in decoded.review_reasons[0]


def test_decode_confidence_of_a_non_complaint_is_that_it_is_none() -> None:
    decoded = decode(single(severity=(9, 0, 0, 0, 0)), PLAIN, TAXONOMY)
    assert decoded.confidence[0] == pytest.approx(1 - decoded.complaint_probability[0])
    assert decoded.decision == ("auto",)


def test_confidence_features_are_clipped_logits() -> None:
    scores = np.array([[3.0, -1.0, 2.0], [50.0, 40.0, 0.0]])
    severity = np.array([[0.0, 1.0, 1.0], [0.0, 90.0, 0.0]])
    np.testing.assert_allclose(confidence_features(scores, severity), [[3.0, 2.0, 1 + np.log(2)], [10.0, 10.0, 10.0]])
    np.testing.assert_allclose(confidence_features(scores[:, :1], severity)[:, 1], -10)
    np.testing.assert_allclose(sigmoid(complaint_logit(severity[:1])), [1 - 1 / (1 + 2 * np.e)])


def test_expected_level_is_drawn_down_by_doubt_whether_it_is_a_complaint() -> None:
    sure = np.array([[-30.0, 1.0, 1.0], [-30.0, 60.0, 0.0]])
    np.testing.assert_allclose(expected_level(sure), [1.5, 1.0])
    doubtful = np.log(np.array([[0.5, 0.0 + 1e-12, 0.5]]))
    np.testing.assert_allclose(expected_level(doubtful), [2 * 0.5 / (DOUBT * 0.5 + 0.5)])


def test_group_probabilities_are_those_of_the_best_leaf() -> None:
    causes = np.linspace(0.01, 0.9, C)[None]
    groups = group_probabilities(causes, TAXONOMY)[0]
    for number, group in enumerate(TAXONOMY.group_ids):
        best = max(causes[0, i] for i, label in enumerate(TAXONOMY.causes) if label.group == group)
        assert groups[number] == best


SMALL = """
version: "1"
groups: [{id: g, zh: 组, en: g, definition: g}, {id: empty, zh: 空, en: e, definition: e}]
causes: [{id: g.a, group: g, zh: 甲, en: a, definition: a}]
motives: [{id: m, zh: 乙, en: m, definition: m}]
severities: [{id: "0", zh: 无, en: none, definition: n}, {id: "1", zh: 有, en: some, definition: s}]
styles: [{id: calm, zh: 静, en: calm, definition: c, neutral: true}]
"""


def test_decode_works_for_any_number_of_labels() -> None:
    taxonomy: Taxonomy = parse_taxonomy(SMALL, Path("small.yaml"))
    decoding = Decoding.uncalibrated(taxonomy)
    assert Decoding.parse({"format": 1, **_as_lists(decoding)}, taxonomy, Path("x")) == decoding
    logits = Logits(*(np.ones((2, n), np.float32) * n for n in (1, 1, 2, 1)))
    decoded = decode(logits, decoding, taxonomy)
    assert decoded.chosen_causes == ((0,), (0,))
    assert decoded.level.tolist() == [1, 1]
    assert group_probabilities(decoded.causes, taxonomy)[:, 1].tolist() == [0, 0]


def _as_lists(decoding: Decoding) -> dict[str, object]:
    import json

    raw = json.loads(json.dumps(decoding.to_dict()))
    raw.pop("format")
    return dict(raw)
