"""Raises the severity of a complaint where a rule's words stand in its text or the caller's facts say so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from model.classification import RaisedBy, Severity, Span
from model.errors import InvalidInput
from model.taxonomy import Taxonomy, load_taxonomy
from model.text import NormalisedText, normalise
from serving.severity.clauses import Bounds, Clauses
from serving.severity.facts import CaseFacts
from serving.severity.numbers import value_of
from serving.severity.parse import parse_rules
from serving.severity.rule import Rule

DEFAULT_PATH = Path(__file__).with_name("rules.yaml")
# More matches of one rule say nothing new to the reader, and a text that repeats itself must not cost more.
MAX_SPANS = 4
MAX_MATCHES = 24
_NOTHING_TOLD = CaseFacts()


@dataclass(frozen=True)
class SeverityRules:
    """Severity rules of one version. They only raise, and never touch what is no complaint. Safe for threads.

    >>> rules = SeverityRules.load()
    >>> [fired.rule for fired in rules.fired("插座冒火花了")]
    ['fire_danger']
    """

    version: str
    rules: tuple[Rule, ...]
    names: tuple[str, ...]

    @classmethod
    def load(cls, path: Path | None = None, taxonomy: Taxonomy | None = None) -> SeverityRules:
        """The rules at ``path``, or those that ship, for the severities of ``taxonomy`` (the shipped one by default).

        Those that ship are for the shipped severities; of a taxonomy with fewer they ask for the highest at most.
        Raises InvalidInput with file, line and field of every error of the file.
        """
        severities = (taxonomy or load_taxonomy()).severities
        levels = len(severities) if path else load_taxonomy().levels
        path = path or DEFAULT_PATH
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{path}: is not UTF-8: {error.reason} at byte {error.start}") from error
        version, rules = parse_rules(text, path, levels)
        highest = len(severities) - 1
        rules = tuple(replace(rule, level=min(rule.level, highest)) for rule in rules)
        return cls(version, rules, tuple(label.zh for label in severities))

    def apply(self, text: str | NormalisedText, severity: Severity, facts: CaseFacts = _NOTHING_TOLD) -> Severity:
        """``severity`` raised to the highest level of the rules that fire, which ``raised_by`` lists.

        Rules that ask for no more than the level of ``severity`` are not listed. Offsets count
        characters of the caller's text. A severity of level 0 (no complaint) is returned as it is.
        """
        if severity.level == 0:
            return severity
        raising = self.fired(text, facts, above=severity.level)
        if not raising:
            return severity
        level = raising[0].level
        return replace(severity, level=level, name=self.names[level], raised_by=severity.raised_by + raising)

    def fired(
        self, text: str | NormalisedText, facts: CaseFacts = _NOTHING_TOLD, above: int = -1
    ) -> tuple[RaisedBy, ...]:
        """Every rule for a level ``above`` the given one that fires, the highest first, then in the file's order."""
        seen = normalise(text) if isinstance(text, str) else text
        clauses = Clauses(seen.text)
        found = []
        for rule in self.rules:
            if rule.level <= above:
                continue
            if rule.fact is not None:
                if rule.at_least is not None and getattr(facts, rule.fact) >= rule.at_least:
                    found.append(RaisedBy(rule.id, rule.name, rule.level))
                continue
            spans = _spans(rule, clauses)
            if spans:
                evidence = tuple(_in_source(seen, *bounds) for bounds in sorted(spans))
                found.append(RaisedBy(rule.id, rule.name, rule.level, evidence))
        return tuple(sorted(found, key=lambda raised: -raised.level))


def _spans(rule: Rule, clauses: Clauses) -> set[Bounds]:
    """Spans of the normalised text that make the rule fire; none when it does not."""
    spans: set[Bounds] = set()
    # Numbers stand in most texts; words that make them matter do not, and are the cheaper search.
    if rule.at_least is not None and rule.near and not rule.near.words.search(clauses.text):
        return spans
    for match in islice(_matches(rule, clauses.text), MAX_MATCHES):
        if len(spans) >= MAX_SPANS:
            break
        start, end = match.span()
        if rule.unless and rule.unless.find(clauses, start, end):
            continue
        near = rule.near.find(clauses, start, end) if rule.near else None
        if rule.near and near is None:
            continue
        if any(guard.takes_back(clauses, start, end) for guard in rule.guards):
            continue
        spans.add((start, end))
        if near and not (start <= near[0] and near[1] <= end):
            spans.add(near)
    return spans


def _matches(rule: Rule, text: str) -> Iterator[re.Match[str]]:
    for pattern in rule.patterns:
        for match in pattern.finditer(text):
            if rule.at_least is None or value_of(match[match.lastindex or 0]) >= rule.at_least:
                yield match


def _in_source(seen: NormalisedText, start: int, end: int) -> Span:
    first, last = seen.source_span(start, end)
    return Span(first, last, seen.source[first:last], 1.0)
