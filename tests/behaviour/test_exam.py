"""The behavioural exam itself, its scoring, and the shipped model's marks in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import yaml

from model.text import normalise
from tests.behaviour.exam import CAPABILITIES, EXAM_PATH, Case, ExamError, Expectation, load_exam, run_exam

MINIMUM_PASS_RATE = 0.89


@dataclass(frozen=True)
class Labels:
    causes: list[str] = field(default_factory=list)
    motives: list[str] = field(default_factory=list)
    severity: int = 0
    style: str = "unclear"


GOOD = Labels(["quality.defect", "service.response"], ["compensation"], 3)
EXPECT = Case(
    "expect-1",
    "negation",
    "手机黑屏",
    Expectation(
        causes_include=("service.response",),
        causes_exclude=("customer.misuse",),
        primary_cause=("quality.defect", "quality.safety"),
        primary_motive=("compensation",),
        motives_include=("compensation",),
        severity_min=2,
        severity_max=3,
        complaint=True,
        style="unclear",
    ),
)
INVARIANT = Case("same-1", "emoji", "鞋开胶了", None, ("鞋开胶了👟", "鞋 开胶了"))


@pytest.fixture(scope="module")
def exam() -> tuple[Case, ...]:
    return load_exam()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], Path]:
    def _write(content: object) -> Path:
        path = tmp_path / "exam.yaml"
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return path

    return _write


def test_exam_is_large_and_covers_every_capability(exam: tuple[Case, ...]) -> None:
    counts = Counter(case.capability for case in exam)
    assert len(exam) >= 280
    assert set(counts) == set(CAPABILITIES)
    assert min(counts.values()) >= 18
    assert sum(case.expect is None for case in exam) >= 80


def test_exam_asks_about_every_cause_group_and_motive(exam: tuple[Case, ...]) -> None:
    asked = [case.expect for case in exam if case.expect is not None]
    causes = {label for expect in asked for label in (*expect.primary_cause, *expect.causes_include)}
    motives = {label for expect in asked for label in expect.primary_motive}
    assert {label.split(".")[0] for label in causes} == {"quality", "service", "price", "integrity", "customer"}
    assert motives == {"vent", "revenge", "respect", "recognition", "compensation", "resolution"}
    assert sum(expect.complaint is False for expect in asked) >= 30


def test_exam_texts_are_of_real_length(exam: tuple[Case, ...]) -> None:
    for case in exam:
        assert all(10 <= len(text) <= 400 for text in (case.text, *case.variants)), case.id
        if case.capability == "long_tail_demand":
            assert len(case.text) >= 200, case.id


def test_exam_texts_are_not_variants_of_each_other(exam: tuple[Case, ...]) -> None:
    texts = [normalise(case.text).text for case in exam]
    assert len(set(texts)) == len(texts)
    openings = Counter(text[:8] for text in texts)
    assert max(openings.values()) <= 2, openings.most_common(3)


def test_load_exam_gives_the_same_perturbed_texts_each_time(exam: tuple[Case, ...]) -> None:
    assert load_exam(EXAM_PATH) == exam
    assert sum(len(case.perturb) for case in exam) >= 30


def test_run_exam_passes_what_holds() -> None:
    result = run_exam([EXPECT, INVARIANT], lambda texts: [GOOD] * len(texts))
    assert result.pass_rate == 1.0
    assert result.failures == ()
    assert {name: score.total for name, score in result.by_capability.items()} == {"negation": 1, "emoji": 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"causes": ["quality.defect"]}, "causes include ['service.response']"),
        ({"causes": [*GOOD.causes, "customer.misuse"]}, "causes exclude ['customer.misuse']"),
        ({"causes": ["service.response", "quality.defect"]}, "primary cause quality.defect or quality.safety"),
        ({"motives": ["vent", "compensation"]}, "primary motive compensation"),
        ({"severity": 1}, "severity at least 2"),
        ({"severity": 4}, "severity at most 3"),
        ({"style": "lively"}, "style unclear"),
    ],
)
def test_run_exam_reports_the_one_demand_that_fails(change: dict[str, object], expected: str) -> None:
    bad = replace(GOOD, **change)  # type: ignore[arg-type]
    result = run_exam([EXPECT], lambda texts: [bad])
    assert [failure.expected for failure in result.failures] == [expected]
    assert result.failures[0].case_id == "expect-1"
    assert result.pass_rate == 0.0


def test_run_exam_counts_a_case_once_however_much_of_it_fails() -> None:
    result = run_exam([EXPECT, INVARIANT], lambda texts: [Labels()] * len(texts))
    assert len(result.failures) == 6
    assert (result.overall.passed, result.overall.total) == (1, 2)
    assert result.summary().splitlines()[1].split() == ["negation", "0/1", "0.0%"]


@pytest.mark.parametrize(
    ("expect", "expected"),
    [
        (Expectation(complaint=False), "no complaint"),
        (Expectation(severity=2), "severity 2"),
        (Expectation(motives_include=("vent",)), "motives include ['vent']"),
    ],
)
def test_run_exam_demands_of_a_single_field(expect: Expectation, expected: str) -> None:
    result = run_exam([replace(EXPECT, expect=expect)], lambda texts: [GOOD])
    assert [failure.expected for failure in result.failures] == [expected]


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        (replace(GOOD, causes=GOOD.causes[::-1]), True),
        (replace(GOOD, style="lively"), True),
        (replace(GOOD, motives=["compensation", "revenge"]), True),
        (replace(GOOD, causes=["quality.defect"]), False),
        (replace(GOOD, motives=["vent"]), False),
        (replace(GOOD, severity=2), False),
        (Labels(), False),
    ],
)
def test_run_exam_compares_variants_with_the_text(other: Labels, equal: bool) -> None:
    result = run_exam([INVARIANT], lambda texts: [GOOD, GOOD, other])
    assert (result.pass_rate == 1.0) is equal
    assert [failure.text for failure in result.failures] == ([] if equal else ["鞋 开胶了"])


def test_run_exam_asks_once_and_keeps_predictions_with_their_case() -> None:
    asked: list[list[str]] = []

    def predict(texts: list[str]) -> list[Labels]:
        asked.append(texts)
        return [GOOD if text == EXPECT.text else Labels() for text in texts]

    assert run_exam([INVARIANT, EXPECT, replace(INVARIANT, id="same-2")], predict).pass_rate == 1.0
    assert [len(texts) for texts in asked] == [7]


def test_run_exam_refuses_a_wrong_number_of_predictions() -> None:
    with pytest.raises(ValueError, match="2 predictions for 3 texts"):
        run_exam([INVARIANT], lambda texts: [GOOD, GOOD])


def test_exam_fails_a_model_that_always_says_the_same(exam: tuple[Case, ...]) -> None:
    result = run_exam(exam, lambda texts: [GOOD] * len(texts))
    invariant = sum(case.expect is None for case in exam)
    assert result.overall.passed <= invariant + 15


BASE: dict[str, object] = {"id": "bad-1", "capability": "typos", "text": "东西坏了要退货退款"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "case bad-1: expect: a case has either"),
        ({"expect": {"severity": 2}, "perturb": ["typos"]}, "case bad-1: expect: a case has either"),
        ({"expect": {}}, "case bad-1: expect: must be a mapping"),
        ({"expect": {"severity": 2}, "capability": "magic"}, "case bad-1: capability: unknown magic"),
        ({"expect": {"severity": 2}, "text": " "}, "case bad-1: text: must be a text"),
        ({"expect": {"severity": 2}, "note": "x"}, "case bad-1: case: unknown field note"),
        ({"expect": {"cause": ["quality.defect"]}}, "case bad-1: expect: unknown field cause"),
        ({"expect": {"causes_include": ["quality.bad"]}}, "case bad-1: expect.causes_include: not in the taxonomy"),
        ({"expect": {"primary_motive": "quality.defect"}}, "case bad-1: expect.primary_motive: not in the taxonomy"),
        ({"expect": {"style": "sad"}}, "case bad-1: expect.style: not in the taxonomy"),
        ({"expect": {"severity": 5}}, "case bad-1: expect.severity: must be a level"),
        ({"expect": {"severity": True}}, "case bad-1: expect.severity: must be a level"),
        ({"expect": {"complaint": "no"}}, "case bad-1: expect.complaint: must be true or false"),
        ({"expect": {"severity_min": 3, "severity_max": 2}}, "case bad-1: expect.severity: no severity"),
        ({"expect": {"complaint": True, "severity": 0}}, "case bad-1: expect.severity: no severity"),
        ({"expect": {"complaint": False, "primary_motive": "vent"}}, "case bad-1: expect.complaint: what is no"),
        ({"expect": {"primary_cause": "quality.defect", "causes_exclude": ["quality.defect"]}}, "causes_exclude"),
        ({"variants": []}, "case bad-1: variants: must be a list"),
        ({"variants": ["东西坏了要退货退款"]}, "case bad-1: variants: one of them is the text itself"),
        ({"variants": ["坏", "坏"]}, "case bad-1: variants: says the same thing twice"),
        ({"perturb": ["rot13"]}, "case bad-1: perturb: unknown augmentation rot13"),
        ({"perturb": ["full_width"]}, "case bad-1: perturb: full_width leaves the text as it is"),
    ],
)
def test_load_exam_names_case_and_field(
    write: Callable[[object], Path], change: dict[str, object], message: str
) -> None:
    with pytest.raises(ExamError) as caught:
        load_exam(write([{**BASE, **change}]))
    assert message in str(caught.value)


def test_load_exam_refuses_repetition_and_other_shapes(write: Callable[[object], Path]) -> None:
    good = {**BASE, "expect": {"complaint": True}}
    for content, message in (
        ([good, good], "case bad-1: id: is used twice"),
        ([good, {**good, "id": "bad-2"}], "case bad-2: text: is the text of bad-1 too"),
        ([{"text": "没有名字"}], "case number 1: id"),
        (["坏了"], "case number 1: case"),
        ({}, "file: must hold a list"),
    ):
        with pytest.raises(ExamError) as caught:
            load_exam(write(content))
        assert message in str(caught.value)


@pytest.mark.slow
def test_shipped_model_passes_the_exam(exam: tuple[Case, ...]) -> None:
    from model import Classifier

    classifier = Classifier.load()

    def predict(texts: list[str]) -> list[Labels]:
        return [
            Labels(
                [cause.label for cause in found.causes],
                [motive.label for motive in found.motives],
                found.severity.level,
                found.style.label,
            )
            for found in classifier.classify(texts)
        ]

    result = run_exam(exam, predict)
    print(result.summary())
    assert result.pass_rate >= MINIMUM_PASS_RATE, result.failures[:20]
