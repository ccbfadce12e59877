"""What must hold for every classification and every context."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from model.classification import Classification
from serving.playbook import CaseContext, Playbook, Problem
from serving.playbook.fields import Fields
from serving.playbook.loading import SHIPPED
from serving.playbook.nodes import parse
from serving.playbook.rules import read_rule
from tests.playbook.cases import TAXONOMY, case

BOOK = Playbook.load()
AGAIN = Playbook.load()
ZONES = st.sampled_from([None, UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-11))])
MOMENTS = st.datetimes(timezones=ZONES)


@st.composite
def classifications(draw: st.DrawFn) -> Classification:
    return case(
        draw(st.lists(st.sampled_from(TAXONOMY.cause_ids), max_size=3, unique=True)),
        draw(st.lists(st.sampled_from(TAXONOMY.motive_ids), max_size=2, unique=True)),
        draw(st.integers(0, TAXONOMY.levels - 1)),
        draw(st.sampled_from(TAXONOMY.style_ids)),
        model_level=draw(st.integers(0, 1)),
        decision=draw(st.sampled_from(["auto", "suggest", "review"])),
    )


@st.composite
def contexts(draw: st.DrawFn) -> CaseContext:
    known = BOOK.contents.settings
    return CaseContext(
        channel=draw(st.one_of(st.none(), st.sampled_from(list(known.channels)), st.text(max_size=200))),
        industry=draw(st.one_of(st.none(), st.sampled_from(list(known.industries)), st.text(max_size=20))),
        received_at=draw(st.one_of(st.none(), MOMENTS, st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31)))),
        now=draw(st.one_of(MOMENTS, st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31)))),
    )


@settings(max_examples=150)
@given(classifications(), contexts())
def test_random_plans_keep_the_promises(classification: Classification, context: CaseContext) -> None:
    plan = BOOK.plan(classification, context)
    text = json.dumps(plan.to_dict(), ensure_ascii=False, allow_nan=False)
    # Deterministic, also for a playbook loaded anew.
    assert json.dumps(AGAIN.plan(classification, context).to_dict(), ensure_ascii=False) == text
    assert len(plan.strategies) <= 5
    assert len({s.id for s in plan.strategies}) == len(plan.strategies)
    if classification.severity.level == 0:
        assert not plan.strategies
        return
    assert any(s.id == f"severity.{classification.severity.level}" for s in plan.strategies)
    for s in plan.strategies:
        assert s.because
        assert s.steps
        for basis in s.basis:
            assert basis.rule.in_force(plan.received_at.date())
    ends = [s.due.at for s in plan.strategies if s.due.at]
    assert all(end.utcoffset() is not None and end >= plan.received_at for end in ends)
    if len(ends) == len(plan.strategies):
        assert ends == sorted(ends)
    else:
        assert {"calendar_missing_year", "date_out_of_range"} & {w.code for w in plan.warnings}
    sensitive = any(c.group == "customer" for c in classification.causes)
    if sensitive or any(m.label == "revenge" for m in classification.motives):
        assert plan.human_decision
        assert all(s.human_decision for s in plan.strategies)
    if any(m.label == "compensation" for m in classification.motives):
        assert plan.human_decision
    if any(s.human_decision for s in plan.strategies):
        assert plan.human_decision


@settings(max_examples=150)
@given(st.text(st.sampled_from("ab:-[]{}&*!|>%@#,?'\" \n\t0123.~<=e中\x00\ud800"), max_size=60))
def test_random_files_raise_nothing_but_problems(text: str) -> None:
    problems: list[Problem] = []
    item = parse(text, "x.yaml", problems)
    assert item is not None or problems


def test_random_keys_without_colon_are_each_found() -> None:
    # The colon of every line of the first rules left out in turn: a problem each time, never a crash or silence.
    lines = (SHIPPED / "rules.yaml").read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("  - id:")]
    lines = [line for line in lines[: starts[3]] if not line.startswith("#")]
    for number, line in enumerate(lines):
        fields = Fields([])
        broken = [*lines[:number], line.replace(":", "", 1), *lines[number + 1 :]]
        item = parse("\n".join(broken), "x.yaml", fields.problems)
        if item is not None:
            for entry in fields.items(fields.mapping(item, ("rules",)).get("rules")):
                read_rule(fields, entry, BOOK.contents.settings.industries)
        assert fields.problems, line
