"""Groups of texts that say the same in nearly the same words.

Such groups must stay on one side of a split, or held-out figures measure memory. Candidates
come from MinHash with banded hashing (Broder 1997; Leskovec, Rajaraman & Ullman, "Mining of
Massive Datasets", ch. 3) and are kept only if their exact Jaccard similarity suffices, so
the sketch decides how many pairs are looked at, not which texts count as alike.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from datasketch import MinHash, MinHashLSH

from model.text import normalise

# Jaccard similarity of character 3- to 5-grams from which on two texts count as one.
SIMILARITY = 0.8
_SIZES = (3, 4, 5)
# 25 bands of 5 rows find a pair of similarity 0.8 with probability 1 - (1 - 0.8^5)^25 > 0.9999.
_BANDS, _ROWS = 25, 5
_DIGITS = re.compile(r"\d+")
_NOT_WORD = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """``text`` without what differs between copies: script, case, numbers, punctuation, white space."""
    normalised = normalise(text).text.casefold()
    # Punctuation goes first, so that "1,299" is one number.
    folded = _DIGITS.sub("0", _NOT_WORD.sub("", normalised))
    # A text of nothing but punctuation or emoji is only like its equals.
    return folded or normalised


def shingles(folded: str) -> frozenset[str]:
    """Character 3- to 5-grams of a folded text; the text itself where it is shorter."""
    grams = {folded[i : i + size] for size in _SIZES for i in range(len(folded) - size + 1)}
    return frozenset(grams or {folded})


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Size of the intersection over size of the union."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


class _Groups:
    """Disjoint sets of numbers; the smallest member names its set."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, item: int) -> int:
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low


def near_duplicate_groups(texts: Sequence[str], similarity: float = SIMILARITY) -> list[int]:
    """For each text the index of the first text of its group; a text alone is its own group.

    Groups are closed under likeness: A like B and B like C puts A and C together. The same
    texts always give the same groups.
    """
    groups = _Groups(len(texts))
    firsts: dict[str, int] = {}
    for index, folded in enumerate(map(fold, texts)):
        groups.join(firsts.setdefault(folded, index), index)
    grams = {index: shingles(folded) for folded, index in firsts.items()}
    index_of_bands = MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
    encoded = ([gram.encode() for gram in sorted(found)] for found in grams.values())
    sketches = MinHash.generator(encoded, num_perm=_BANDS * _ROWS, seed=1, hashfunc=zlib.crc32)
    for index, sketch in zip(grams, sketches, strict=True):
        for candidate in index_of_bands.query(sketch):
            together = groups.root(index) == groups.root(candidate)
            if not together and jaccard(grams[index], grams[candidate]) >= similarity:
                groups.join(index, candidate)
        index_of_bands.insert(index, sketch)
    return [groups.root(index) for index in range(len(texts))]


def apart_from(others: Sequence[str], texts: Sequence[str]) -> list[int]:
    """Indices of the ``texts`` that are no near-duplicate of one of the ``others``."""
    groups = near_duplicate_groups([*others, *texts])
    taken = set(groups[: len(others)])
    return [place for place, group in enumerate(groups[len(others) :]) if group not in taken]
