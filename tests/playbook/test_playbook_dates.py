"""Dated rules: cited and applied only while in force, on the day of receipt and today."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.playbook import CaseContext, Plan, Playbook
from tests.playbook.cases import HEAD, at, case, received, strategy, write

BOOK = Playbook.load()
FORWARDED = case(["service.aftersales"], ["resolution"], 3)


def cited(plan: Plan) -> set[str]:
    return {basis.rule.id for s in plan.strategies for basis in s.basis}


def codes(plan: Plan) -> list[str]:
    return [warning.code for warning in plan.warnings]


def test_dates_rule_is_cited_on_its_last_day() -> None:
    plan = BOOK.plan(FORWARDED, received(2026, 4, 14, 23, 59, channel="authority"))
    assert {"market-14", "market-21", "market-31", "cpl-46"} <= cited(plan)
    assert "rule_not_in_force" not in codes(plan)


def test_dates_rule_is_dropped_the_day_after_and_the_plan_says_so() -> None:
    plan = BOOK.plan(FORWARDED, received(2026, 4, 15, channel="authority"))
    assert not {"market-14", "market-21", "market-31"} & cited(plan)
    assert "cpl-46" in cited(plan)
    told = [w.message for w in plan.warnings if w.code == "rule_not_in_force"]
    assert len(told) == 3
    assert all("2026-04-14" in message and "121" in message for message in told)


def test_dates_rule_that_has_ended_since_receipt_is_not_cited_today() -> None:
    context = CaseContext(channel="authority", received_at=at(2026, 4, 10, 9), now=at(2026, 5, 6, 9))
    assert "market-14" not in cited(BOOK.plan(FORWARDED, context))


def test_dates_day_is_that_of_the_zone() -> None:
    # 16:30 UTC is half past midnight of the 15th in Shanghai.
    moment = datetime(2026, 4, 14, 16, 30, tzinfo=UTC)
    plan = BOOK.plan(FORWARDED, CaseContext(channel="authority", received_at=moment, now=moment))
    assert "market-14" not in cited(plan)


def test_dates_rule_is_not_cited_before_it_begins() -> None:
    price = case(["price.misleading"], ["vent"])
    assert "marking-16" not in cited(BOOK.plan(price, received(2022, 6, 30)))
    assert "marking-16" in cited(BOOK.plan(price, received(2022, 7, 1)))


def test_dates_strategy_due_by_a_rule_goes_with_the_rule() -> None:
    loan = case(["service.aftersales"], ["resolution"])
    assert "industry.finance" not in [
        s.id for s in BOOK.plan(loan, received(2020, 2, 29, industry="bank")).strategies
    ]  # fmt: skip
    plan = BOOK.plan(loan, received(2025, 3, 1, 9, industry="bank"))
    (finance,) = [s for s in plan.strategies if s.id == "industry.finance"]
    assert finance.due.to_dict() == {"calendar_days": 15, "at": "2025-03-16T23:59:59+08:00"}
    ends = {b.rule.id: b.due.at for b in finance.basis if b.due}
    assert ends["finance-complex"] == at(2025, 3, 31, 23, 59, 59)
    assert ends["finance-extended"] == at(2025, 4, 30, 23, 59, 59)


def test_dates_car_claim_is_due_in_working_days_over_national_day() -> None:
    plan = BOOK.plan(case(["quality.defect"], ["resolution"]), received(2025, 9, 29, 10, industry="auto"))
    (car,) = [s for s in plan.strategies if s.id == "industry.auto"]
    assert car.due.to_dict() == {"working_days": 10, "at": "2025-10-20T23:59:59+08:00"}


def test_dates_rule_of_another_industry_is_not_cited() -> None:
    harm = case(["quality.safety"], ["compensation"], 4)
    assert "food-148" in cited(BOOK.plan(harm, received(2025, 3, 4, industry="restaurant")))
    assert "drug-144" in cited(BOOK.plan(harm, received(2025, 3, 4, industry="pharmacy")))
    assert not {"food-148", "drug-144"} & cited(BOOK.plan(harm, received(2025, 3, 4)))


def test_dates_rule_for_all_but_some_industries_is_not_cited_for_those() -> None:
    refused = case(["service.aftersales"], ["resolution"], 2)
    for industry in (None, "appliance", "supermarket"):
        assert {"cpl-24", "penalty-15-days"} <= cited(BOOK.plan(refused, received(2025, 3, 4, industry=industry)))
    assert not {"cpl-24", "penalty-15-days"} & cited(BOOK.plan(refused, received(2025, 3, 4, industry="insurance")))
    forwarded = BOOK.plan(FORWARDED, received(2026, 11, 4, channel="authority", industry="bank"))
    assert "market-14" not in cited(forwarded)
    assert "rule_not_in_force" not in {warning.code for warning in forwarded.warnings}


def test_dates_clock_of_others_gets_no_date() -> None:
    plan = BOOK.plan(FORWARDED, received(2025, 3, 4, channel="authority"))
    (basis,) = [b for s in plan.strategies for b in s.basis if b.rule.id == "cpl-46"]
    assert basis.due is None
    assert "at" not in basis.to_dict()


def test_dates_year_without_calendar_is_told_not_guessed() -> None:
    plan = BOOK.plan(case(["quality.defect"], ["resolution"]), received(2090, 3, 4, industry="auto"))
    (car,) = [s for s in plan.strategies if s.id == "industry.auto"]
    assert car.due.to_dict() == {"working_days": 10, "at": None}
    (told,) = [w.message for w in plan.warnings if w.code == "calendar_missing_year"]
    assert "2090" in told
    assert plan.first_reply is not None
    assert plan.first_reply.at == at(2090, 3, 4, 12)


def test_dates_rule_that_ends_within_its_own_limit_is_told(tmp_path: Path) -> None:
    rule = """rules:
  - id: short
    law: {zh: 某办法, en: Some measures}
    article: "1"
    what: {zh: 十日内答复, en: answer within 10 days}
    who: merchant
    limit: {calendar_days: 10}
    starts: received
    valid_from: 2025-01-01
    valid_to: 2025-03-10
    source: test
"""
    text = HEAD + rule + "strategies:\n" + strategy(due="{rule: short}")
    book = Playbook.load(write(tmp_path / "own", all=text))
    assert "rule_expires" in codes(book.plan(case(["quality.defect"], ["vent"]), received(2025, 3, 4)))
    assert "rule_expires" not in codes(book.plan(case(["quality.defect"], ["vent"]), received(2025, 2, 4)))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2025, 3, 4, 9), "2025-03-04T10:00:00+08:00"),
        (datetime(2025, 3, 4, 9, tzinfo=UTC), "2025-03-04T18:00:00+08:00"),
    ],
)
def test_dates_times_are_answered_in_the_playbooks_zone(moment: datetime, expected: str) -> None:
    plan = BOOK.plan(case(["quality.defect"], level=4), CaseContext(received_at=moment, now=moment))
    assert plan.first_reply is not None
    assert plan.first_reply.to_dict() == {"hours": 1, "at": expected}


def test_dates_missing_receipt_starts_now_and_is_told() -> None:
    plan = BOOK.plan(case(["quality.defect"]), CaseContext(now=at(2025, 3, 4, 9)))
    assert plan.received_at == at(2025, 3, 4, 9)
    assert codes(plan) == ["received_at_missing"]


def test_dates_future_receipt_and_lateness_are_told() -> None:
    early = CaseContext(received_at=at(2025, 3, 5), now=at(2025, 3, 4))
    assert "received_in_future" in codes(BOOK.plan(case(["quality.defect"]), early))
    late = CaseContext(received_at=at(2025, 3, 4), now=at(2025, 3, 9))
    assert "overdue" in codes(BOOK.plan(case(["quality.defect"]), late))
