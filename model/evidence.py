"""Which words speak for a label: leave out one clause at a time and see how far the label's logit falls.

Occlusion as in Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks",
on clauses rather than pixels; at most ``MAX_SEGMENTS`` more forward passes a text.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import numpy as np

from model.classification import Span
from model.decode import Array
from model.text import NormalisedText
from model.tokeniser import Tokeniser, Tokens

MAX_SEGMENTS = 8
# A clause shorter than this says nothing by itself; a longer run without a mark is cut.
MIN_CHARACTERS = 4
MAX_CHARACTERS = 40
MAX_SPANS = 3
# A clause counts when it carries this share of all support, and its loss moves the logit by this much.
MIN_SHARE = 0.2
MIN_DROP = 0.1
# After the marks that end a clause and what closes with them; not inside 2.5, 10:30 or v2.0.
_BOUNDARY = re.compile(r"""(?:[。!?;…~、\n]|(?<![0-9A-Za-z])[,.:]|[,.:](?![0-9A-Za-z]))+[”’"'」』)】》]*|\s+""")
_EDGE = re.compile(r"[\s\W_]+")

Segment = tuple[int, int]


def clauses(text: str, start: int, end: int) -> list[Segment]:
    """Half-open spans that cover ``text[start:end]`` without a gap, cut after punctuation and spaces.

    Pieces below ``MIN_CHARACTERS`` join a neighbour; pieces above ``MAX_CHARACTERS`` are cut.
    """
    ends = [match.end() for match in _BOUNDARY.finditer(text, start, end)]
    pieces: list[Segment] = []
    begin = start
    for stop in [*ends, end]:
        if stop - begin >= MIN_CHARACTERS:
            pieces.append((begin, stop))
            begin = stop
    if begin < end:  # too short a remainder
        if pieces:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((begin, end))
    cut: list[Segment] = []
    for first, stop in pieces:
        count = -(-(stop - first) // MAX_CHARACTERS)
        edges = [first + (stop - first) * number // count for number in range(count + 1)]
        cut += itertools.pairwise(edges)
    return cut


def merge(segments: list[list[Segment]], limit: int) -> list[Segment]:
    """At most ``limit`` segments: neighbours with the shortest sum are joined, never across two runs."""
    runs = [list(run) for run in segments if run]
    while sum(map(len, runs)) > max(limit, len(runs)):
        _, run, place = min(
            (run[place + 1][1] - run[place][0], number, place)
            for number, run in enumerate(runs)
            for place in range(len(run) - 1)
        )
        runs[run][place : place + 2] = [(runs[run][place][0], runs[run][place + 1][1])]
    return [segment for run in runs for segment in run]


@dataclass(frozen=True, slots=True)
class Occlusion:
    """The segments of one text and, in the same order, the token ids that remain without each.

    A text of a single segment has no ``variants``: nothing would remain to be read.
    """

    normalised: NormalisedText
    segments: tuple[Segment, ...]
    variants: tuple[tuple[int, ...], ...]

    def spans(self, whole: float, without: Array) -> tuple[Span, ...]:
        """Evidence for one label, weightiest first: its logit for the whole text and for each variant.

        Empty when no segment alone carries the label.
        """
        if not self.variants:
            return (self._span(self.segments[0], 1.0),)
        drops = np.maximum(whole - without, 0.0)
        total = float(drops.sum())
        ranked = sorted(range(len(drops)), key=lambda place: -drops[place])[:MAX_SPANS]
        return tuple(
            self._span(self.segments[place], float(drops[place]) / total)
            for place in ranked
            if drops[place] >= MIN_DROP and drops[place] >= MIN_SHARE * total
        )

    def _span(self, segment: Segment, weight: float) -> Span:
        begin, end = _trimmed(self.normalised.text, *segment)
        start, stop = self.normalised.source_span(begin, end)
        # A lone surrogate cannot be written as UTF-8; its stand-in has the same length.
        words = re.sub("[\ud800-\udfff]", "\ufffd", self.normalised.source[start:stop])
        return Span(start, stop, words, weight)


def occlude(normalised: NormalisedText, tokens: Tokens, tokeniser: Tokeniser) -> Occlusion:
    """Plan the extra forward passes of one text. Only what the network read is cut into segments.

    Tokens are left out, not characters, so that a shortened long text does not pull in
    words from its unread middle.
    """
    offsets = tokens.offsets()
    text = normalised.text
    head = next((i for i in range(1, tokens.used) if tokens.kept[i] != tokens.kept[i - 1] + 1), tokens.used)
    runs = [clauses(text, 0, len(text))]
    if head < tokens.used:  # the middle was not read
        runs = [clauses(text, 0, offsets[head - 1][1]), clauses(text, offsets[head][0], len(text))]
    # A segment without a letter or digit is no evidence of anything.
    segments = [segment for segment in merge(runs, MAX_SEGMENTS) if any(map(str.isalnum, text[slice(*segment)]))]
    if len(segments) < 2:
        return Occlusion(normalised, tuple(segments) or ((0, len(text)),), ())
    read = tokens.ids[1:-1]
    # A token belongs where its middle lies: pieces may straddle a boundary by a mark.
    middles = [(begin + end) / 2 for begin, end in offsets]
    variants = tuple(
        tokeniser.frame([token for token, middle in zip(read, middles, strict=True) if not start <= middle < end])
        for start, end in segments
    )
    return Occlusion(normalised, tuple(segments), variants)


def _trimmed(text: str, start: int, end: int) -> Segment:
    """Without punctuation and white space at both ends; unchanged where nothing else is there."""
    words = text[start:end]
    lead = _EDGE.match(words)
    begin = lead.end() if lead else 0
    stop = len(words)
    while stop > begin and _EDGE.fullmatch(words[stop - 1]):
        stop -= 1
    return (start + begin, start + stop) if begin < stop else (start, end)
