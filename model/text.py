"""What the model sees of a text, and where each character of it came from.

Both training and inference pass every text through :func:`normalise`, so a text is
never read one way while learning and another way while serving.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from opencc import OpenCC

T = TypeVar("T")
# Runs of one punctuation mark beyond this many carry no further meaning.
MAX_PUNCTUATION_RUN = 3
# Marks piled on one character; no script needs more (Unicode annex 15, "Stream-Safe Text Format").
MAX_JOINED = 30
_INVISIBLE = frozenset("\u00ad\u034f\u061c\u180e\ufeff") | {
    chr(c) for c in (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFE00, 0xFE10))
}
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class NormalisedText:
    """A text as the model reads it.

    ``origin[i]`` is the index in ``source`` of the character that gave ``text[i]``, so a
    span found in ``text`` can be shown in the caller's own words.
    """

    source: str
    text: str
    origin: tuple[int, ...]

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Half-open span of ``source`` behind the half-open span ``start, end`` of ``text``."""
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"span {start}:{end} lies outside a text of {len(self.text)} characters")
        stop = look = self.origin[end - 1] + 1
        # Marks that were folded into the last character belong to it.
        while look < len(self.source) and _JOINS[self.source[look]]:
            look += 1
            if _continues(self.source[look - 1]):
                stop = look
        return self.origin[start], stop


_PARTICLE = re.compile("(?<![显原名土巨论专编译合遗拙昭卓])著(?![名作称述书者录有])")


@functools.cache
def _simplifier() -> OpenCC:
    # "t2s" maps characters only; wording that differs by region stays as written.
    return OpenCC("t2s")


def simplify(text: str) -> str:
    """Traditional characters to simplified ones, one for one, so offsets stay valid."""
    converter = _simplifier()
    converted = converter.convert(text)
    if converted != text:
        converted = converter.convert(converted)  # a few characters take two steps (U+85B4)
        if len(converted) != len(text):
            parts = (converter.convert(character) for character in text)
            converted = "".join(new if len(new) == 1 else old for old, new in zip(text, parts, strict=True))
    # OpenCC leaves the particle as it is, because simplified texts write "famous" and "to author" with it.
    return _PARTICLE.sub("着", converted)


def _visible(character: str) -> str:
    """The character, U+FFFD for a lone surrogate, nothing for what is never seen."""
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    if character in _INVISIBLE or (category in ("Cc", "Cf") and not character.isspace()):
        return ""
    return character


def _continues(character: str) -> bool:
    """Whether the character joins the one before it: combining marks, half-width kana voicing marks."""
    return bool(unicodedata.combining(character)) or character in "\uff9e\uff9f"


@functools.lru_cache(maxsize=1 << 16)
def _fold(cluster: str) -> tuple[tuple[str, bool], ...]:
    """Characters of a cluster after NFKC, and for each whether it is a punctuation mark, whose runs are cut."""
    seen = "".join(map(_visible, cluster))
    folded: list[tuple[str, bool]] = []
    joined = 0
    for character in unicodedata.normalize("NFKC", seen):
        joined = joined + 1 if _continues(character) else 0
        if joined <= MAX_JOINED:
            shown = _visible(" " if character.isspace() else character)
            folded += [(c, unicodedata.category(c)[0] in "PS") for c in shown]
    return tuple(folded)


class _Joins(dict[str, bool]):
    """Memory of which characters never stand alone: they are invisible or continue the one before."""

    def __missing__(self, character: str) -> bool:
        answer = self[character] = _continues(character) or not _visible(character)
        return answer


_JOINS = _Joins()


def _clusters(text: str) -> list[tuple[int, str]]:
    """Base characters with the marks (and invisible characters) that follow them, with the offsets of the bases."""
    if not any(map(_JOINS.__getitem__, text)):  # as nearly every text
        return list(enumerate(text))
    clusters: list[tuple[int, str]] = []
    for index, character in enumerate(text):
        if clusters and _JOINS[character]:
            start, cluster = clusters[-1]
            # Twice, since some marks decompose into two.
            if len(cluster) <= 2 * MAX_JOINED and _visible(character):
                clusters[-1] = (start, cluster + character)
        else:
            clusters.append((index, character))
    return clusters


def normalise(source: str) -> NormalisedText:
    """Fold width, script, invisible characters, white space and punctuation runs.

    NFKC (Unicode annex 15) character by character; zero-width and control characters go,
    white space becomes one space, lone surrogates become U+FFFD, traditional characters
    become simplified, a run of one punctuation mark is cut to ``MAX_PUNCTUATION_RUN`` and the marks
    piled on one character to ``MAX_JOINED`` (sorting them takes quadratic time).
    Any string is accepted; normalising a normalised text changes nothing.
    """
    characters: list[str] = []
    origin: list[int] = []
    last, run = " ", 0  # as if a space stood before the text, so that it never begins with one
    for index, cluster in _clusters(source):
        for character, is_mark in _fold(cluster):
            if character != last:
                last, run = character, 1
            else:
                run += 1
                if character == " " or (is_mark and run > MAX_PUNCTUATION_RUN):
                    continue
            characters.append(character)
            origin.append(index)
    if characters and characters[-1] == " ":
        characters.pop()
        origin.pop()
    return NormalisedText(source, simplify("".join(characters)), tuple(origin))


def han_count(text: str) -> int:
    """Number of Chinese characters in ``text``."""
    return len(_HAN.findall(text))


def han_share(text: str) -> float:
    """Share of Chinese characters among the letters of ``text``; 0 where there is no letter."""
    letters = len(_LETTER.findall(text))
    return han_count(text) / letters if letters else 0.0


def head_and_tail(tokens: Sequence[T], limit: int, head_share: float = 0.5) -> list[T]:
    """At most ``limit`` tokens: the beginning and the end.

    A complaint opens with what happened and closes with what is asked for; the middle is
    what can best be missed (Sun et al. 2019, "How to fine-tune BERT for text classification").
    """
    if len(tokens) <= limit:
        return list(tokens)
    head = int(limit * head_share)
    return [*tokens[:head], *tokens[len(tokens) - (limit - head) :]]
