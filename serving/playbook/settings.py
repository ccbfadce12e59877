"""What a playbook sets for all its strategies: clocks, roles, channels, industries, which cases a person decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from model.taxonomy import Taxonomy
from serving.playbook.fields import Bilingual, Fields
from serving.playbook.limits import Limit, read_limit
from serving.playbook.nodes import Item

SECTIONS = (
    "timezone", "max_strategies", "notice", "first_reply", "owners", "channels", "industries", "human_decision",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HumanDecision:
    """Labels that call for a person, by key of ``when``.

    ``cases``: the whole case, every strategy of its plan. ``strategies``: any strategy written for the label,
    and the plan of a case with it, even one that has no room for such a strategy.
    ``words``: words of a strategy that speak of a refusal or of money; only `check` looks at them.
    """

    cases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    strategies: dict[str, tuple[str, ...]] = field(default_factory=dict)
    words: tuple[str, ...] = ()

    def with_all_of(self, other: HumanDecision) -> HumanDecision:
        """Both together: a tenant's file can call for more decisions by people, not for fewer."""
        return HumanDecision(
            _merged(self.cases, other.cases),
            _merged(self.strategies, other.strategies),
            tuple(dict.fromkeys((*self.words, *other.words))),
        )


def _merged(first: Mapping[str, tuple[str, ...]], second: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    keys = dict.fromkeys((*first, *second))
    return {key: tuple(dict.fromkeys((*first.get(key, ()), *second.get(key, ())))) for key in keys}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one playbook; ``first_reply`` is by severity level, "1" and up."""

    timezone: ZoneInfo
    max_strategies: int
    notice: Bilingual
    first_reply: dict[str, Limit]
    owners: dict[str, Bilingual]
    channels: dict[str, Bilingual]
    industries: dict[str, Bilingual]
    human: HumanDecision


def read_settings(fields: Fields, parts: Mapping[str, Item], taxonomy: Taxonomy, base: Settings | None) -> Settings:
    """Settings from the sections of all files; what they leave out comes from ``base``.

    Without a base a missing section has been told already and gets a stand-in.
    """
    own = Settings(
        timezone=_zone(fields, parts.get("timezone")),
        max_strategies=fields.integer(parts.get("max_strategies"), 1, 8),
        notice=fields.bilingual(parts.get("notice")),
        first_reply=_clocks(fields, parts.get("first_reply"), taxonomy),
        owners=_names(fields, parts.get("owners")),
        channels=_names(fields, parts.get("channels")),
        industries=_names(fields, parts.get("industries")),
        human=_human(fields, parts.get("human_decision"), taxonomy),
    )
    if base is None:
        return own
    return Settings(
        timezone=own.timezone if "timezone" in parts else base.timezone,
        max_strategies=own.max_strategies if "max_strategies" in parts else base.max_strategies,
        notice=own.notice if "notice" in parts else base.notice,
        first_reply=own.first_reply if "first_reply" in parts else base.first_reply,
        owners=base.owners | own.owners,
        channels=base.channels | own.channels,
        industries=base.industries | own.industries,
        human=own.human,
    )


def _clocks(fields: Fields, item: Item | None, taxonomy: Taxonomy) -> dict[str, Limit]:
    # Every level has its clock: none would mean a complaint that nobody need answer.
    levels = [str(level) for level in range(1, taxonomy.levels)]
    parts = fields.mapping(item, levels) if item is not None else {}
    found = {level: read_limit(fields, value) for level, value in parts.items()}
    return {level: limit for level, limit in found.items() if limit is not None}


def _zone(fields: Fields, item: Item | None) -> ZoneInfo:
    name = fields.text(item)
    if item is not None and name:
        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):
            fields.wrong(item, f"unknown time zone {name[:40]!r}; expected one such as Asia/Shanghai")
    return ZoneInfo("UTC")


def _names(fields: Fields, item: Item | None) -> dict[str, Bilingual]:
    if item is None:
        return {}
    return {key: fields.bilingual(value) for key, value in fields.entries(item).items()}


def _human(fields: Fields, item: Item | None, taxonomy: Taxonomy) -> HumanDecision:
    parts = fields.mapping(item, ("cases", "strategies"), ("words",)) if item is not None else {}
    known = {"cause": taxonomy.cause_ids, "group": taxonomy.group_ids, "motive": taxonomy.motive_ids}
    found: dict[str, dict[str, tuple[str, ...]]] = {"cases": {}, "strategies": {}}
    for part, labels in found.items():
        for key, value in fields.mapping(parts[part], (), tuple(known)).items() if part in parts else ():
            labels[key] = fields.some_of(value, known[key], key)
    return HumanDecision(found["cases"], found["strategies"], fields.texts(parts.get("words")))
