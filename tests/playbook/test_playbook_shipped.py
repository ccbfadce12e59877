"""The playbook that ships: complete, readable, and careful with what a person must decide."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from serving.playbook import Playbook
from serving.playbook.review import remarks
from tests.playbook.cases import TAXONOMY, case, received

BOOK = Playbook.load()
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LABELS = [
    *(("cause", cause) for cause in TAXONOMY.cause_ids),
    *(("group", group) for group in TAXONOMY.group_ids),
    *(("motive", motive) for motive in TAXONOMY.motive_ids),
    *(("severity", str(level)) for level in range(1, TAXONOMY.levels)),
    *(("style", style) for style in TAXONOMY.style_ids),
]


@pytest.mark.parametrize(("key", "label"), LABELS)
def test_shipped_has_a_strategy_of_its_own_for_every_label(key: str, label: str) -> None:
    alone = [s for s in BOOK.strategies if s.when.given == {key: (label,)}]
    assert len(alone) == 1
    assert alone[0].script or key == "group"
    assert len(alone[0].steps) >= 3


@pytest.mark.parametrize("cause", TAXONOMY.cause_ids)
def test_shipped_chooses_the_strategy_of_the_primary_cause(cause: str) -> None:
    plan = BOOK.plan(case([cause], ["resolution"]), received(2025, 3, 4, 10))
    assert f"cause.{cause}" in [s.id for s in plan.strategies]
    assert not plan.warnings


def test_shipped_leaves_nothing_to_remark() -> None:
    assert remarks(BOOK) == []


def test_shipped_strategies_read_well() -> None:
    steps = Counter(step for s in BOOK.strategies for step in s.steps)
    assert [step for step, count in steps.items() if count > 1] == []
    for s in BOOK.strategies:
        assert CHINESE.search(s.title.zh)
        assert not CHINESE.search(s.title.en)
        assert 2 <= len(s.steps) <= 5
        for line in (*s.steps, *s.script):
            assert CHINESE.search(line)
            assert len(line) <= 80
            assert not re.search(r"[\u4e00-\u9fff][,;:!?]", line), "half-width punctuation in Chinese"


def test_shipped_sensitive_strategies_are_for_people() -> None:
    for s in BOOK.strategies:
        named = s.when.given
        groups = {TAXONOMY.group_of[cause] for cause in named.get("cause", ())} | set(named.get("group", ()))
        if "customer" in groups or {"revenge", "compensation"} & set(named.get("motive", ())):
            assert s.human_decision, s.id


def test_shipped_rules_name_law_article_and_source() -> None:
    cited = {name for s in BOOK.strategies for name in (*s.basis, s.due_rule)}
    for rule in BOOK.rules:
        assert rule.id in cited, f"{rule.id} is never used"
        assert rule.law.zh
        assert rule.article
        assert rule.source
        assert rule.valid_from is not None


@pytest.mark.parametrize(
    ("rule", "limit"),
    [
        ("cpl-46", {"working_days": 7}),
        ("cpl-24", {"calendar_days": 7}),
        ("cpl-25-refund", {"calendar_days": 7}),
        ("penalty-15-days", {"calendar_days": 15}),
        ("auto-28-answer", {"working_days": 10}),
        ("auto-28-complete", {"working_days": 20}),
        ("finance-simple", {"calendar_days": 15}),
        ("finance-complex", {"calendar_days": 30}),
        ("finance-extended", {"calendar_days": 60}),
        ("telecom-10-4", {"calendar_days": 15}),
        ("market-14", {"working_days": 7}),
        ("market-21", {"working_days": 45}),
        ("market-31", {"working_days": 5}),
    ],
)
def test_shipped_limits_are_those_of_the_texts(rule: str, limit: dict[str, int]) -> None:
    found = BOOK.contents.rules[rule].limit
    assert found is not None
    assert found.to_dict() == limit


def test_shipped_first_reply_is_quicker_for_worse() -> None:
    hours = [clock.count for _, clock in sorted(BOOK.contents.settings.first_reply.items())]
    assert hours == sorted(hours, reverse=True)
    assert max(hours) <= 24


def test_shipped_plan_says_that_it_is_no_legal_advice() -> None:
    plan = BOOK.plan(case(["price.misleading"], ["compensation"]), received(2025, 3, 4, 10))
    answer = json.loads(json.dumps(plan.to_dict(), allow_nan=False))
    assert "不是法律意见" in answer["notice"]["zh"]
    assert "not legal advice" in answer["notice"]["en"]
    assert answer["playbook_version"] == BOOK.version
