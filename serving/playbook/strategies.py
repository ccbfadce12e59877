"""Strategies: for which case, what to do, who, by when, and whether a person must decide."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from model.taxonomy import Taxonomy
from serving.playbook.fields import Bilingual, Fields
from serving.playbook.limits import UNITS, Limit, read_limit
from serving.playbook.nodes import Item
from serving.playbook.settings import Settings

FIRST_REPLY = "first_reply"
LABEL_KEYS = ("cause", "group", "motive", "style")
KEYS = (*LABEL_KEYS, "severity", "channel", "industry")
_REQUIRED = ("id", "title", "when", "steps", "owner", "due", "human_decision")
_OPTIONAL = ("script", "basis", "replaces", "pinned")


@dataclass(frozen=True)
class When:
    """The cases a strategy is for: every key given must match, by any of its values."""

    cause: tuple[str, ...] = ()
    group: tuple[str, ...] = ()
    motive: tuple[str, ...] = ()
    style: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    industry: tuple[str, ...] = ()

    @cached_property
    def given(self) -> dict[str, tuple[str, ...]]:
        """The keys that have values."""
        return {key: values for key in KEYS if (values := getattr(self, key))}


@dataclass(frozen=True, slots=True)
class Strategy:
    """One strategy as written. Due is one of ``limit``, ``due_rule`` (a rule's limit) or the first-reply clock.

    ``replaces`` names strategies that this one makes needless; ``pinned`` keeps it when others must give way.
    """

    id: str
    title: Bilingual
    when: When
    steps: tuple[str, ...]
    owner: str
    limit: Limit | None
    due_rule: str | None
    human_decision: bool
    script: tuple[str, ...]
    basis: tuple[str, ...]
    replaces: tuple[str, ...]
    pinned: bool
    place: Item


def read_when(fields: Fields, item: Item, taxonomy: Taxonomy, settings: Settings) -> When:
    """The conditions of one strategy; levels may be written as numbers."""
    parts = fields.mapping(item, (), KEYS)
    if isinstance(item.value, dict) and not item.value:
        fields.wrong(item, f"needs at least one of {', '.join(KEYS)}")
    levels = [str(level) for level in range(1, taxonomy.levels)]
    return When(
        cause=fields.some_of(parts.get("cause"), taxonomy.cause_ids, "cause"),
        group=fields.some_of(parts.get("group"), taxonomy.group_ids, "cause group"),
        motive=fields.some_of(parts.get("motive"), taxonomy.motive_ids, "motive"),
        style=fields.some_of(parts.get("style"), taxonomy.style_ids, "style"),
        severity=fields.some_of(_as_words(parts.get("severity")), levels, "severity level"),
        channel=fields.some_of(parts.get("channel"), settings.channels, "channel"),
        industry=fields.some_of(parts.get("industry"), settings.industries, "industry"),
    )


def read_strategy(
    fields: Fields, item: Item, taxonomy: Taxonomy, settings: Settings, rules: Collection[str]
) -> Strategy:
    """A strategy from one entry of ``strategies``; errors go to ``fields``."""
    parts = fields.mapping(item, _REQUIRED, _OPTIONAL)
    limit, due_rule = _due(fields, parts.get("due"), rules)
    return Strategy(
        id=fields.identifier(parts.get("id")),
        title=fields.bilingual(parts.get("title")),
        when=read_when(fields, parts["when"], taxonomy, settings) if "when" in parts else When(),
        steps=fields.texts(parts.get("steps"), at_least=1),
        owner=fields.one_of(parts.get("owner"), settings.owners, "owner"),
        limit=limit,
        due_rule=due_rule,
        human_decision=fields.flag(parts.get("human_decision")),
        script=fields.texts(parts.get("script")),
        basis=fields.some_of(parts.get("basis"), rules, "rule"),
        # Whether the ids exist is known once all strategies are read.
        replaces=fields.texts(parts.get("replaces")),
        pinned=fields.flag(parts["pinned"]) if "pinned" in parts else False,
        place=item,
    )


def _due(fields: Fields, item: Item | None, rules: Collection[str]) -> tuple[Limit | None, str | None]:
    if item is None or item.value == FIRST_REPLY:
        return None, None
    if not isinstance(item.value, dict):
        fields.wrong(item, f"expected {FIRST_REPLY}, or a mapping with one of {', '.join(UNITS)}, rule")
        return None, None
    if "rule" in item.value:
        parts = fields.mapping(item, ("rule",))
        return None, fields.one_of(parts.get("rule"), rules, "rule") or None
    return read_limit(fields, item), None


def _as_words(item: Item | None) -> Item | None:
    """The same item with whole numbers as words, so that ``severity: [3, 4]`` can be written."""
    if item is None or isinstance(item.value, bool):
        return item
    value = item.value
    if isinstance(value, int):
        value = str(value)
    elif isinstance(value, list):
        value = [word for entry in value if (word := _as_words(entry)) is not None]
    return Item(value, item.file, item.line, item.column, item.field)
