"""Which strategies are chosen: at most five, urgent first, none twice, each with its reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.playbook import Plan, Playbook
from tests.playbook.cases import HEAD, case, received, strategy, write

BOOK = Playbook.load()
NOW = received(2025, 3, 4, 10)


def ids(plan: Plan) -> list[str]:
    return [s.id for s in plan.strategies]


def codes(plan: Plan) -> list[str]:
    return [warning.code for warning in plan.warnings]


def test_selection_of_a_crowded_case_keeps_five_and_what_matters() -> None:
    crowded = case(
        ["service.attitude", "service.response", "quality.safety"], ["resolution", "revenge"], 4, "powerful"
    )  # fmt: skip
    plan = BOOK.plan(crowded, received(2025, 3, 4, 10, channel="authority", industry="restaurant"))
    assert len(plan.strategies) == 5
    # A third cause, but danger: pinned.
    assert {"severity.4", "cause.quality.safety", "motive.revenge", "channel.authority"} <= set(ids(plan))
    assert len(set(ids(plan))) == 5


def test_selection_is_ordered_by_urgency() -> None:
    plan = BOOK.plan(case(["quality.safety", "service.delivery"], ["resolution"], 3), NOW)
    ends = [s.due.at for s in plan.strategies]
    assert all(ends)
    assert ends == sorted(ends, key=lambda end: end.timestamp() if end else 0.0)
    assert ids(plan)[0] == "cause.quality.safety"


def test_selection_explains_itself() -> None:
    plan = BOOK.plan(case(["quality.safety"], ["compensation"], 4, model_level=3), NOW)
    (claim,) = [s for s in plan.strategies if s.id == "motive.injury"]
    assert [(r.key, r.value, r.probability) for r in claim.because] == [
        ("cause", "quality.safety", 0.95),
        ("motive", "compensation", 0.9),
    ]
    assert claim.because[0].text == "主要原因：安全危害（0.95）"
    (level,) = [s for s in plan.strategies if s.id == "severity.4"]
    assert "规则上调" in level.because[0].text


def test_selection_replaces_the_general_by_the_special() -> None:
    plan = BOOK.plan(case(["integrity.counterfeit"], ["compensation"], 3), NOW)
    assert "motive.punitive" in ids(plan)
    assert "motive.compensation" not in ids(plan)


def test_selection_group_steps_in_for_a_leaf_without_strategy(tmp_path: Path) -> None:
    own = HEAD + "without: [cause.service.billing]\n"
    book = Playbook.load(write(tmp_path / "own", a=own))
    plan = book.plan(case(["service.billing", "quality.defect"], ["respect", "vent"], 3, "lively"), NOW)
    assert "group.service" in ids(plan)
    assert "no_strategy" not in codes(plan)


def test_selection_without_a_complaint_is_empty() -> None:
    plan = BOOK.plan(case(level=0), NOW)
    assert plan.strategies == ()
    assert plan.first_reply is None
    assert not plan.human_decision
    assert not plan.warnings


@pytest.mark.parametrize(
    ("causes", "motives"),
    [
        (["quality.defect"], ["revenge"]),
        (["quality.defect"], ["resolution", "revenge"]),
        (["customer.misuse"], ["resolution"]),
        (["service.attitude", "customer.preference"], ["vent"]),
    ],
)
def test_selection_sensitive_case_is_for_a_person_throughout(causes: list[str], motives: list[str]) -> None:
    plan = BOOK.plan(case(causes, motives), NOW)
    assert plan.human_decision
    assert all(s.human_decision for s in plan.strategies)


def test_selection_compensation_is_decided_by_a_person_the_rest_is_not() -> None:
    plan = BOOK.plan(case(["service.delivery"], ["compensation"], 1), NOW)
    decided = {s.id: s.human_decision for s in plan.strategies}
    assert plan.human_decision
    assert decided["motive.compensation"]
    assert not decided["severity.1"]
    assert not BOOK.plan(case(["service.delivery"], ["resolution"], 1), NOW).human_decision


def test_selection_compensation_is_decided_by_a_person_when_its_strategy_finds_no_room(tmp_path: Path) -> None:
    causes = ["service.delivery", "service.attitude"]
    crowded = case(causes, ["resolution", "compensation"], 3, "powerful")
    plan = BOOK.plan(crowded, NOW)
    assert "motive.compensation" not in ids(plan)
    assert not any(s.human_decision for s in plan.strategies)
    assert plan.human_decision
    assert not BOOK.plan(case(causes, ["resolution"], 3, "powerful"), NOW).human_decision
    # Nor does it take a strategy: the label is enough.
    without = Playbook.load(write(tmp_path / "own", a=HEAD + "without: [motive.compensation]\n"))
    assert without.plan(crowded, NOW).human_decision


def test_selection_replaced_strategy_asks_for_no_decision(tmp_path: Path) -> None:
    asks = strategy("own.asks", "{motive: vent}", human_decision="true")
    instead = strategy("own.instead", "{motive: vent}", replaces="[own.asks]")
    chosen = case(["service.delivery"], ["vent"], 1)
    book = Playbook.load(write(tmp_path / "own", a=HEAD + "strategies:\n" + asks + instead))
    assert not book.plan(chosen, NOW).human_decision
    book = Playbook.load(write(tmp_path / "other", a=HEAD + "strategies:\n" + asks))
    assert book.plan(chosen, NOW).human_decision


def test_selection_unknown_channel_and_industry_are_told_with_the_closest() -> None:
    plan = BOOK.plan(case(["quality.defect"], ["vent"]), received(2025, 3, 4, channel="hotlin", industry="banks"))
    told = {w.code: w.message for w in plan.warnings}
    assert "'hotline'" in told["unknown_channel"]
    assert "'bank'" in told["unknown_industry"]


def test_selection_of_labels_of_another_model_says_what_is_missing() -> None:
    plan = BOOK.plan(case(["vehicle.brakes"], ["vent"]), NOW)
    assert codes(plan) == ["no_strategy"]
    assert "vehicle.brakes" in plan.warnings[0].message
    assert "severity.2" in ids(plan)


def test_selection_of_doubtful_labels_asks_for_a_person() -> None:
    assert codes(BOOK.plan(case(["quality.defect"], ["vent"], decision="review"), NOW)) == ["labels_need_review"]


def test_selection_prefers_more_conditions(tmp_path: Path) -> None:
    special = strategy("own.both", "{motive: vent, channel: chat}")
    plain = strategy("own.chat", "{channel: chat}")
    book = Playbook.load(write(tmp_path / "own", a=HEAD + "max_strategies: 2\nstrategies:\n" + plain + special))
    plan = book.plan(case(["quality.defect"], ["vent"], 1), received(2025, 3, 4, channel="chat"))
    assert set(ids(plan)) == {"severity.1", "own.both"}


def test_selection_all_keys_must_match(tmp_path: Path) -> None:
    both = strategy("own.both", "{motive: [vent, respect], severity: [3, 4]}")
    book = Playbook.load(write(tmp_path / "own", a=HEAD + "strategies:\n" + both))
    assert "own.both" in ids(book.plan(case(["quality.defect"], ["vent"], 3), NOW))
    assert "own.both" not in ids(book.plan(case(["quality.defect"], ["vent"], 2), NOW))
    assert "own.both" not in ids(book.plan(case(["quality.defect"], ["resolution"], 3), NOW))
