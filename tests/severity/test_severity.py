"""Severity rules raise where a text or the caller's facts say so, and only there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.classification import Classification, LabelScore, ModelInfo, Severity
from model.errors import InvalidInput
from model.text import normalise
from serving.severity import CaseFacts, SeverityRules

SENTENCES: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("sentences.yaml").read_text(encoding="utf-8"))
NAMES = ("非投诉", "轻微", "一般", "严重", "重大")


@pytest.fixture(scope="module")
def rules() -> SeverityRules:
    return SeverityRules.load()


def severity(level: int) -> Severity:
    return Severity(level, NAMES[level], (0.1, 0.2, 0.4, 0.2, 0.1), level)


def fired(rules: SeverityRules, text: str, facts: CaseFacts | None = None) -> set[str]:
    return {raised.rule for raised in rules.fired(text, facts or CaseFacts())}


def test_severity_sentences_are_many_and_half_must_not_fire() -> None:
    silent = sum(not sentence["rules"] for sentence in SENTENCES)
    assert len(SENTENCES) >= 160
    assert silent * 2 >= len(SENTENCES)
    assert len({sentence["text"] for sentence in SENTENCES}) == len(SENTENCES)


def test_severity_every_rule_on_words_has_a_sentence(rules: SeverityRules) -> None:
    expected = {rule for sentence in SENTENCES for rule in sentence["rules"]}
    assert expected == {rule.id for rule in rules.rules if rule.fact is None}


@pytest.mark.parametrize("sentence", SENTENCES, ids=[sentence["text"] for sentence in SENTENCES])
def test_severity_sentence_fires_exactly_its_rules(rules: SeverityRules, sentence: dict[str, Any]) -> None:
    assert fired(rules, sentence["text"]) == set(sentence["rules"])


@pytest.mark.parametrize("sentence", SENTENCES[::7], ids=lambda sentence: sentence["text"])
def test_severity_never_lowers_and_never_touches_what_is_no_complaint(
    rules: SeverityRules, sentence: dict[str, Any]
) -> None:
    facts = CaseFacts(prior_complaints=9, affected_customers=900, open_days=400)
    assert rules.apply(sentence["text"], severity(0), facts) == severity(0)
    for level in range(1, 5):
        assert rules.apply(sentence["text"], severity(level)).level >= level


def test_severity_raise_tells_rule_name_level_and_words(rules: SeverityRules) -> None:
    text = "充电宝半夜起火，床单全没了"
    raised = rules.apply(text, severity(2))
    assert (raised.level, raised.name, raised.model_level) == (4, "重大", 2)
    assert raised.probabilities == severity(2).probabilities
    (by,) = raised.raised_by
    assert (by.rule, by.name, by.level) == ("fire", "起火爆炸", 4)
    (span,) = by.evidence
    assert (span.start, span.end, span.text) == (5, 7, "起火")


def test_severity_raise_is_printed_with_the_classification(rules: SeverityRules) -> None:
    raised = rules.apply("充电宝半夜起火", severity(2))
    style, info = LabelScore("unclear", "不明显", 1.0), ModelInfo("kesu", "1", "1")
    answer = Classification(True, 0.9, (), {}, (), raised, style, 0.9, "auto", (), (), info).to_dict()
    evidence = [{"start": 5, "end": 7, "text": "起火", "weight": 1.0}]
    assert answer["severity"]["raised_by"] == [{"rule": "fire", "name": "起火爆炸", "level": 4, "evidence": evidence}]


def test_severity_lists_only_rules_above_the_level_highest_first(rules: SeverityRules) -> None:
    text = "押金1500元一直不退，已打12315"
    assert [by.rule for by in rules.apply(text, severity(2)).raised_by] == ["authority", "considerable_sum"]
    assert [by.rule for by in rules.apply(text, severity(3)).raised_by] == ["authority"]
    assert rules.apply(text, severity(4)) == severity(4)


@pytest.mark.parametrize("sentence", [s for s in SENTENCES if s["rules"]], ids=lambda sentence: sentence["text"])
@pytest.mark.parametrize("before", ["", "😀 ", "\u200b\ufeff", "ＡＢＣ！！！！！！  "])
def test_severity_offsets_point_into_the_callers_own_text(
    rules: SeverityRules, sentence: dict[str, Any], before: str
) -> None:
    text = before + sentence["text"]
    evidence = [span for raised in rules.fired(text) for span in raised.evidence]
    assert evidence
    assert all(text[span.start : span.end] == span.text for span in evidence)
    assert all(span.start >= len(before.rstrip()) for span in evidence)


def test_severity_offsets_hold_for_traditional_and_broken_up_words(rules: SeverityRules) -> None:
    text = "電熱毯著\u200b火了"
    ((span,),) = (raised.evidence for raised in rules.fired(text))
    assert (span.start, span.end, span.text) == (3, 6, "著\u200b火")


def test_severity_evidence_holds_what_made_the_words_matter(rules: SeverityRules) -> None:
    raised = {by.rule: [span.text for span in by.evidence] for by in rules.fired("我妈七十多岁，被地上的水滑倒")}
    assert raised == {"vulnerable_hurt": ["七十多岁", "滑倒"]}


def test_severity_reads_a_text_that_was_normalised_before(rules: SeverityRules) -> None:
    text = "ＡＢＣ，電池爆炸"
    assert rules.fired(normalise(text)) == rules.fired(text) != ()


@pytest.mark.parametrize(
    ("facts", "level", "expected"),
    [
        (CaseFacts(prior_complaints=1, affected_customers=2, open_days=14), 2, set()),
        (CaseFacts(prior_complaints=2), 3, {"repeated"}),
        (CaseFacts(affected_customers=3), 3, {"affected_some"}),
        (CaseFacts(affected_customers=10), 4, {"affected_some", "affected_many"}),
        (CaseFacts(open_days=15), 3, {"overdue"}),
    ],
)
def test_severity_is_raised_by_what_the_caller_tells(
    rules: SeverityRules, facts: CaseFacts, level: int, expected: set[str]
) -> None:
    answer = rules.apply("衣服掉色", severity(2), facts)
    assert answer.level == level
    assert {by.rule for by in answer.raised_by} == expected
    assert all(by.evidence == () for by in answer.raised_by)


@pytest.mark.parametrize("value", [-1, 1.5, True, "3", None])
def test_severity_facts_must_be_whole_numbers(value: Any) -> None:
    with pytest.raises(InvalidInput, match="open_days: expected a whole number"):
        CaseFacts(open_days=value)


@pytest.mark.parametrize("unit", ["如果骨折", "1", "1,", "一", "已经向", "家长1", "“", '"', "孩子", "被"])
def test_severity_time_grows_with_the_length_only(rules: SeverityRules, unit: str) -> None:
    def seconds(length: int) -> float:
        text = normalise(unit * (length // len(unit)))
        begin = time.process_time()
        rules.fired(text)
        return time.process_time() - begin

    # Quadratic growth would make the ratio 64.
    assert seconds(40_000) < 30 * max(seconds(5_000), 0.002)


@pytest.mark.parametrize("text", ["", " ", "\ud800", "\x00", "。", "“", "…"])
def test_severity_any_string_is_read(rules: SeverityRules, text: str) -> None:
    assert rules.fired(text) == ()
