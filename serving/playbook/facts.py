"""A classification and its context as the facts that conditions are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.classification import Classification, LabelScore
from model.taxonomy import Taxonomy
from serving.playbook.context import CaseContext
from serving.playbook.plan import Reason
from serving.playbook.settings import Settings
from serving.playbook.strategies import When

_PRIMARY = {"cause": "主要原因", "group": "主要原因类别", "motive": "主要动机", "style": "客户性格"}
_OTHER = {"cause": "次要原因", "group": "次要原因类别", "motive": "次要动机", "style": "客户性格"}


@dataclass(frozen=True, slots=True)
class Fact:
    """One value of the case; ``rank`` 0 is the primary one of its key."""

    rank: int
    reason: Reason


# By key of ``when``, then by value.
Facts = Mapping[str, Mapping[str, Fact]]


def facts_of(classification: Classification, context: CaseContext, taxonomy: Taxonomy, settings: Settings) -> Facts:
    """All facts of the case; channels and industries that the playbook does not know are left out."""
    found: dict[str, dict[str, Fact]] = {
        "cause": _labels("cause", classification.causes),
        "group": _groups(classification, taxonomy),
        "motive": _labels("motive", classification.motives),
        "style": _labels("style", (classification.style,)),
    }
    level = str(classification.severity.level)
    text = f"严重度 {level} {classification.severity.name}"
    if classification.severity.level > classification.severity.model_level:
        text += f"（模型判为 {classification.severity.model_level}，规则上调）"
    found["severity"] = {level: Fact(0, Reason("severity", level, text))}
    for key, value, names, word in (
        ("channel", context.channel, settings.channels, "渠道"),
        ("industry", context.industry, settings.industries, "行业"),
    ):
        known = value is not None and value in names
        found[key] = {value: Fact(0, Reason(key, value, f"{word}：{names[value].zh}"))} if known and value else {}
    return found


def matched(when: When, facts: Facts) -> list[Fact] | None:
    """The facts that meet the conditions, in the order of the keys; None when a key is not met."""
    met: list[Fact] = []
    for key, values in when.given.items():
        if facts[key].keys().isdisjoint(values):  # as nearly always: strategies are many, and for few cases each
            return None
        met.extend(fact for value, fact in facts[key].items() if value in values)
    return met


def meets_any(labels: Mapping[str, Sequence[str]], facts: Facts) -> bool:
    """Whether the case has one of ``labels``, which are listed by key."""
    return any(value in facts[key] for key, values in labels.items() for value in values)


def _reason(key: str, rank: int, value: str, name: str, probability: float) -> Fact:
    word = (_OTHER if rank else _PRIMARY)[key]
    return Fact(rank, Reason(key, value, f"{word}：{name}（{probability:.2f}）", probability))


def _labels(key: str, scores: Sequence[LabelScore]) -> dict[str, Fact]:
    found: dict[str, Fact] = {}
    for rank, score in enumerate(scores):
        found.setdefault(score.label, _reason(key, rank, score.label, score.name, score.probability))
    return found


def _groups(classification: Classification, taxonomy: Taxonomy) -> dict[str, Fact]:
    names: dict[str, Any] = {group.id: group.zh for group in taxonomy.groups}
    found: dict[str, Fact] = {}
    for rank, cause in enumerate(classification.causes):
        group = cause.group or taxonomy.group_of.get(cause.label)
        if group and group not in found:
            probability = classification.cause_groups.get(group, cause.probability)
            found[group] = _reason("group", rank, group, names.get(group, group), probability)
    return found
