"""Where the clauses, sentences and quotations of a text begin and end."""

from __future__ import annotations

import functools
import re
from bisect import bisect_right

# A comma between digits belongs to a number; a space between Chinese words ends a clause as a comma does.
_CLAUSE = re.compile(r",(?!\d)|(?<!\d),|[。!?;:、~]|\.(?!\d)|(?<=[^\x00-\x7f]) (?=[^\x00-\x7f])|(?<=\)) ")
_SENTENCE = re.compile(r"[。!?;]|\.{2,}")
_QUOTED = re.compile(r"“[^“”]*”|「[^「」]*」|『[^『』]*』|\"[^\"]*\"|《[^《》]*》|【[^【】]*】")

# How far a clause or sentence reaches from a match: speech written down without punctuation is no single clause,
# and a hostile text must not make every match scan all of it.
_CLAUSE_REACH, _SENTENCE_REACH = 40, 200

Bounds = tuple[int, int]


class Clauses:
    """Clauses, sentences and quotations of one text, found when first asked for (most texts fire no rule)."""

    def __init__(self, text: str) -> None:
        self.text = text

    @functools.cached_property
    def _clause_ends(self) -> list[int]:
        return [match.end() for match in _CLAUSE.finditer(self.text)]

    @functools.cached_property
    def _sentence_ends(self) -> list[int]:
        return [match.end() for match in _SENTENCE.finditer(self.text)]

    @functools.cached_property
    def _quotations(self) -> list[Bounds]:
        return [match.span() for match in _QUOTED.finditer(self.text)]

    def clause(self, start: int, end: int) -> Bounds:
        """Bounds of the clause (or clauses) that hold the half-open span."""
        return self._around(self._clause_ends, start, end, _CLAUSE_REACH)

    def sentence(self, start: int, end: int) -> Bounds:
        """Bounds of the sentence (or sentences) that hold the half-open span."""
        return self._around(self._sentence_ends, start, end, _SENTENCE_REACH)

    def quotation(self, start: int, end: int) -> Bounds | None:
        """Bounds, marks included, of the quotation that holds the whole span, if one does."""
        place = bisect_right(self._quotations, (start, start)) - 1
        if place >= 0 and self._quotations[place][0] < start and end < self._quotations[place][1]:
            return self._quotations[place]
        return None

    def _around(self, ends: list[int], start: int, end: int, reach: int) -> Bounds:
        before, after = bisect_right(ends, start), bisect_right(ends, end - 1)
        left, right = ends[before - 1] if before else 0, ends[after] if after < len(ends) else len(self.text)
        return max(left, start - reach), min(right, end + reach)
