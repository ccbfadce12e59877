"""Which strategies a case gets: deterministic, without doubles, no more than an agent can read."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from model.taxonomy import Taxonomy
from serving.playbook.facts import Fact, Facts, matched
from serving.playbook.plan import Reason
from serving.playbook.strategies import Strategy

# What must not be crowded out comes first. A group's advice stands in for a leaf cause without its own,
# and otherwise (prevention, root cause) comes late; a style without signal says least of all.
_SEVERITY, _SETTING, _CAUSE, _MOTIVE, _STYLE, _MORE_CAUSES, _MORE_MOTIVES, _GROUP, _NO_STYLE = range(9)


@dataclass(frozen=True, slots=True)
class Choice:
    """A strategy that is for the case, with its reasons; ``tier`` tells how readily it gives way (0 least)."""

    strategy: Strategy
    reasons: tuple[Reason, ...]
    tier: int
    order: int


def choices(strategies: Iterable[Strategy], facts: Facts, taxonomy: Taxonomy) -> list[Choice]:
    """All strategies for the case, the weightiest first."""
    hits: list[tuple[int, Strategy, list[Fact]]] = []
    covered: set[str] = set()
    for order, strategy in enumerate(strategies):
        met = matched(strategy.when, facts)
        if met is not None:
            hits.append((order, strategy, met))
            covered.update(strategy.when.cause)
    bare = {
        taxonomy.group_of.get(cause, ""): fact.rank
        for cause, fact in reversed(list(facts["cause"].items()))
        if cause not in covered
    }
    found = []
    for order, strategy, met in hits:
        tier = min(_tier(fact.reason.key, fact.reason.value, fact.rank, bare, taxonomy) for fact in met)
        found.append(Choice(strategy, tuple(fact.reason for fact in met), tier, order))
    # Of two for the same thing, the one with more conditions fits better.
    return sorted(found, key=lambda c: (not c.strategy.pinned, c.tier, -len(c.strategy.when.given), c.order))


def unreplaced(found: list[Choice]) -> list[Choice]:
    """Those that no other of them replaces, wherever it stands; a plan holds the first few."""
    gone: set[str] = set()
    for choice in found:
        if choice.strategy.id not in gone:
            gone.update(choice.strategy.replaces)
    return [choice for choice in found if choice.strategy.id not in gone]


def uncovered(facts: Facts, found: Collection[Choice], taxonomy: Taxonomy) -> list[Reason]:
    """Labels of the case for which the playbook has no strategy, nor one for the cause's group."""
    seen = {(reason.key, reason.value) for choice in found for reason in choice.reasons}
    return [
        fact.reason
        for key in ("cause", "motive", "severity")
        for value, fact in facts[key].items()
        if (key, value) not in seen and ("group", taxonomy.group_of.get(value, "")) not in seen
    ]


def _tier(key: str, value: str, rank: int, bare: dict[str, int], taxonomy: Taxonomy) -> int:
    if key == "severity":
        return _SEVERITY
    if key in ("channel", "industry"):
        return _SETTING
    if key == "group":
        return _GROUP if value not in bare else _MORE_CAUSES if bare[value] else _CAUSE
    if key == "cause":
        return _MORE_CAUSES if rank else _CAUSE
    if key == "motive":
        return _MORE_MOTIVES if rank else _MOTIVE
    return _NO_STYLE if value == taxonomy.neutral_style else _STYLE
