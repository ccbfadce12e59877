"""Dated rules of law and standards: what they ask, of whom, by when, and from which day to which they hold."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from serving.playbook.fields import Bilingual, Fields
from serving.playbook.limits import Limit, read_limit
from serving.playbook.nodes import Item

WHO = ("merchant", "authority", "customer")
RECEIVED = "received"
_REQUIRED = ("id", "law", "article", "what", "who", "valid_from", "valid_to", "source")
_OPTIONAL = ("limit", "starts", "industry", "except_industry", "note")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``starts`` is None where its clock starts when the complaint is received, else says when.

    ``valid_from`` and ``valid_to`` are included; None: open, or not known to the author. A rule with
    ``industries`` is cited only for a case of one of them, one with ``excepted`` for none of those.
    """

    id: str
    law: Bilingual
    article: str
    what: Bilingual
    who: str
    limit: Limit | None
    starts: Bilingual | None
    valid_from: date | None
    valid_to: date | None
    source: str
    industries: tuple[str, ...] = ()
    excepted: tuple[str, ...] = ()
    note: Bilingual | None = None

    def concerns(self, industries: Collection[str]) -> bool:
        """Whether the rule is one for a case of ``industries`` (none, where nobody told)."""
        if any(industry in self.excepted for industry in industries):
            return False
        return not self.industries or any(industry in self.industries for industry in industries)

    def in_force(self, *days: date) -> bool:
        """Whether the rule holds on every one of ``days``."""
        return all(
            (self.valid_from is None or day >= self.valid_from) and (self.valid_to is None or day <= self.valid_to)
            for day in days
        )

    @property
    def counts_from_receipt(self) -> bool:
        """Whether kesu can compute its end: a limit on the merchant that starts with the complaint."""
        return self.limit is not None and self.starts is None and self.who == "merchant"


def read_rule(fields: Fields, item: Item, industries: Collection[str]) -> Rule:
    """A rule from one entry of ``rules``; errors go to ``fields``."""
    parts = fields.mapping(item, _REQUIRED, _OPTIONAL)
    limit_item, starts_item = parts.get("limit"), parts.get("starts")
    limit = read_limit(fields, limit_item) if limit_item is not None else None
    if limit_item is not None and starts_item is None:
        fields.wrong(limit_item, f"a limit needs 'starts': {RECEIVED}, or zh and en words for another event")
    if limit_item is None and starts_item is not None:
        fields.wrong(starts_item, "'starts' without 'limit' means nothing")
    if "industry" in parts and "except_industry" in parts:
        fields.wrong(parts["except_industry"], "'industry' and 'except_industry' exclude each other")
    starts = None
    if starts_item is not None and starts_item.value != RECEIVED:
        if isinstance(starts_item.value, dict):
            starts = fields.bilingual(starts_item)
        else:
            fields.wrong(starts_item, f"expected {RECEIVED}, or a mapping with zh and en")
    valid_from, valid_to = fields.day(parts.get("valid_from")), fields.day(parts.get("valid_to"))
    if valid_from and valid_to and valid_to < valid_from:
        fields.wrong(parts["valid_to"], f"{valid_to} is before valid_from {valid_from}")
    return Rule(
        id=fields.identifier(parts.get("id")),
        law=fields.bilingual(parts.get("law")),
        article=fields.text(parts.get("article")),
        what=fields.bilingual(parts.get("what")),
        who=fields.one_of(parts.get("who"), WHO, "party"),
        limit=limit,
        starts=starts,
        valid_from=valid_from,
        valid_to=valid_to,
        source=fields.text(parts.get("source")),
        industries=fields.some_of(parts.get("industry"), industries, "industry"),
        excepted=fields.some_of(parts.get("except_industry"), industries, "industry"),
        note=fields.bilingual(parts["note"]) if "note" in parts else None,
    )
