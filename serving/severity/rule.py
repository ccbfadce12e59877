"""One severity rule and the guards it heeds, as read from the rules file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from serving.severity.clauses import Bounds, Clauses

Scope = Literal["clause", "sentence", "text"]
SCOPES: tuple[Scope, ...] = ("clause", "sentence", "text")


@dataclass(frozen=True, slots=True)
class Guard:
    """Words that take a match back, by where they stand.

    ``before``: in the clause, ahead of the match; ``through``: from the clause's beginning
    to the match's end; ``after``: in the clause, behind the match; ``earlier``: in an
    earlier clause of the sentence; ``quoting``: just ahead of the quotation that holds the match.
    """

    name: str
    before: re.Pattern[str] | None = None
    through: re.Pattern[str] | None = None
    after: re.Pattern[str] | None = None
    earlier: re.Pattern[str] | None = None
    quoting: re.Pattern[str] | None = None

    def takes_back(self, clauses: Clauses, start: int, end: int) -> bool:
        """Whether the match ``start, end`` is denied, supposed, asked or advertised rather than told."""
        text = clauses.text
        left, right = clauses.clause(start, end)
        if self.before and self.before.search(text[left:start]):
            return True
        if self.through and self.through.search(text[left:end]):
            return True
        if self.after and self.after.search(text[end:right]):
            return True
        if self.earlier and self.earlier.search(text[clauses.sentence(start, end)[0] : left]):
            return True
        if self.quoting:
            quotation = clauses.quotation(start, end)
            return quotation is not None and bool(
                self.quoting.search(text[max(0, quotation[0] - _LEAD_IN) : quotation[0]])
            )
        return False


# Characters ahead of a quotation in which it is said what the quotation is.
_LEAD_IN = 12


@dataclass(frozen=True, slots=True)
class Context:
    """Words that must (or must not) stand in the clause, sentence or text of a match."""

    within: Scope
    words: re.Pattern[str]

    def find(self, clauses: Clauses, start: int, end: int) -> Bounds | None:
        """The first such words in reach of the match, if any."""
        left, right = 0, len(clauses.text)
        if self.within != "text":
            bounds = clauses.clause if self.within == "clause" else clauses.sentence
            left, right = bounds(start, end)
        found = self.words.search(clauses.text, left, right)
        return found.span() if found else None


@dataclass(frozen=True, slots=True)
class Rule:
    """Raises to ``level`` when its words stand in the text, or a told fact reaches ``at_least``.

    ``patterns``: one expression, or with ``at_least`` several that each capture a number.
    ``near`` must be found round the match, ``unless`` must not; ``guards`` take matches back.
    """

    id: str
    name: str
    level: int
    patterns: tuple[re.Pattern[str], ...] = ()
    near: Context | None = None
    unless: Context | None = None
    guards: tuple[Guard, ...] = ()
    at_least: float | None = None
    fact: str | None = None
