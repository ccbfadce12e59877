"""The rules file to rules: strict, and every error with its file, line and field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from serving.severity.document import Document, Value
from serving.severity.facts import FACTS
from serving.severity.numbers import NUMBER
from serving.severity.rule import SCOPES, Context, Guard, Rule, Scope

FORMAT = 1
_PLACES = ("before", "through", "after", "earlier", "quoting")
_NAMED = re.compile(r"<([a-z_]+)>")
# "…" in a pattern: up to eight characters of the same clause without a negation.
_GAP = "[^,。!?;:、没未不无别]{0,8}?"
_NEVER = re.compile("(?!)")


def parse_rules(text: str, path: Path, levels: int) -> tuple[str, tuple[Rule, ...]]:
    """Version and rules of a rules file for a taxonomy with ``levels`` severities, "not a complaint" included.

    Raises InvalidInput that tells every problem with its line and field.
    """
    document = Document(path)
    top = document.root(text).fields(("format", "version", "guards", "rules"), ("words",))
    if "format" in top:
        top["format"].whole(FORMAT)
    version = top["version"].text() if "version" in top else ""
    reader = _Reader(_words(top["words"]) if "words" in top else {}, levels)
    if "guards" in top:
        reader.guards = {key: reader.guard(key, value) for key, value in top["guards"].items()}
    rules: list[Rule] = []
    for value in top["rules"].members() if "rules" in top else []:
        rule = reader.rule(value)
        if rule.id and any(rule.id == other.id for other in rules):
            value.report(f"id {rule.id!r} appears more than once")
        rules.append(rule)
    document.check()
    return version, tuple(rules)


def _words(section: Value) -> dict[str, str]:
    """Named alternatives, in the order of the file; a list may use those above it."""
    named = {"number": f"({NUMBER})"}
    for key, value in section.items():
        if not _NAMED.fullmatch(f"<{key}>") or key in named:
            value.report("names are lower case letters and _, and 'number' is taken")
        # Longest first, because an alternation takes the first that fits.
        entries = sorted((_expand(member, named) for member in value.members()), key=len, reverse=True)
        named[key] = f"(?:{'|'.join(entries)})"
    return named


def _expand(value: Value, named: dict[str, str]) -> str:
    written = value.text()
    unknown = [name for name in _NAMED.findall(written) if name not in named]
    if unknown:
        value.report(f"unknown words <{unknown[0]}>; known are {', '.join(named)}")
    if written.startswith("…"):
        value.report("a pattern must begin with words, not with a gap")
    return _NAMED.sub(lambda match: named.get(match[1], ""), written.replace("…", _GAP))


def _identifier(value: Value) -> str:
    written = value.text()
    if written and not _NAMED.fullmatch(f"<{written}>"):
        value.report("expected lower case letters and _")
    return written


class _Reader:
    """Reads guards and rules with the words and guards known so far."""

    def __init__(self, named: dict[str, str], levels: int) -> None:
        self.named = named
        self.levels = levels
        self.guards: dict[str, Guard] = {}

    def guard(self, name: str, value: Value) -> Guard:
        found = {key: self.joined(place) for key, place in value.fields((), _PLACES).items() if key in _PLACES}
        return Guard(name, **found)

    def rule(self, value: Value) -> Rule:
        found = value.fields(("id", "name", "level"), ("any", "near", "unless", "ignore", "at_least", "fact"))
        if ("any" in found) == ("fact" in found):
            value.report("needs exactly one of 'any' (patterns) and 'fact'")
        if "fact" in found and not {"id", "name", "level", "fact", "at_least"} >= set(found):
            value.report("a rule on a fact takes no patterns, contexts or exceptions")
        if "fact" in found and "at_least" not in found:
            value.report("a rule on a fact needs 'at_least'")
        ignored = {member.choice(self.guards) for member in found["ignore"].members()} if "ignore" in found else set()
        numeric = "at_least" in found
        return Rule(
            id=_identifier(found["id"]) if "id" in found else "",
            name=found["name"].text() if "name" in found else "",
            level=found["level"].whole(self.levels - 1) if "level" in found else 0,
            patterns=self.patterns(found["any"], numeric) if "any" in found else (),
            near=self.context(found["near"]) if "near" in found else None,
            unless=self.context(found["unless"]) if "unless" in found else None,
            guards=tuple(guard for name, guard in self.guards.items() if name not in ignored),
            at_least=found["at_least"].number() if numeric else None,
            fact=found["fact"].choice(FACTS) if "fact" in found else None,
        )

    def patterns(self, value: Value, numeric: bool) -> tuple[re.Pattern[str], ...]:
        if not numeric:
            return (self.joined(value),)
        compiled = tuple(_compiled(member, [_expand(member, self.named)]) for member in value.members())
        for member, pattern in zip(value.members(), compiled, strict=True):
            if pattern is not None and not pattern.groups:
                member.report("with 'at_least' each pattern needs <number>")
        return tuple(pattern or _NEVER for pattern in compiled)

    def joined(self, value: Value) -> re.Pattern[str]:
        """All patterns of a list as one; each is tried alone first, so that its own line is told."""
        expanded = [(member, _expand(member, self.named)) for member in value.members()]
        whole = [_compiled(member, [expression]) for member, expression in expanded]
        return (all(whole) and _compiled(value, [expression for _, expression in expanded])) or _NEVER

    def context(self, value: Value) -> Context:
        found = value.fields(("within", "any"))
        within = found["within"].choice(SCOPES) if "within" in found else ""
        return Context(cast(Scope, within), self.joined(found["any"]) if "any" in found else _NEVER)


def _compiled(value: Value, expressions: Sequence[str]) -> re.Pattern[str] | None:
    """The alternation of ``expressions``, or None after reporting what is wrong with it."""
    try:
        pattern = re.compile("|".join(expressions))
    except re.error as error:
        value.report(f"not a regular expression: {error}")
        return None
    if pattern.match(""):
        value.report("matches the empty string, so it would fire on every text")
    return pattern
