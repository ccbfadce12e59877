"""Groups of texts that say the same in nearly the same words.

Such groups must stay on one side of a split, or held-out figures measure memory. Candidates
come from MinHash with banded hashing (Broder 1997; Leskovec, Rajaraman & Ullman, "Mining of
Massive Datasets", ch. 3) and are kept only if their exact Jaccard similarity suffices, so
the sketch decides how many pairs are looked at, not which texts count as alike.

What is kept of a text is its sketch (500 bytes): n-grams are formed again where two texts are compared, and a band's
hash bucket is only kept if it holds more than one text.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray

from model.text import normalise

# Jaccard similarity of character 3- to 5-grams from which on two texts count as one.
SIMILARITY = 0.8
_SIZES = (3, 4, 5)
# 25 bands of 5 rows find a pair of similarity 0.8 with probability 1 - (1 - 0.8^5)^25 > 0.9999.
_BANDS, _ROWS = 25, 5
# Sets of n-grams kept at hand, some 10 kB each: candidates of one text are often those of the next.
_KEPT_SETS = 2048
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


def _sketches(texts: Sequence[str]) -> NDArray[np.uint32]:
    """MinHash sketches of folded texts, [texts, bands * rows]."""
    sketches = np.empty((len(texts), _BANDS * _ROWS), np.uint32)
    encoded = ([gram.encode() for gram in shingles(text)] for text in texts)
    made = MinHash.generator(encoded, num_perm=_BANDS * _ROWS, seed=1, hashfunc=zlib.crc32)
    for place, sketch in enumerate(made):
        sketches[place] = sketch.hashvalues
    return sketches


def _candidates(sketches: NDArray[np.uint32]) -> Iterator[tuple[int, list[int]]]:
    """Each place with the earlier ones whose sketch equals its own in at least one band."""
    buckets = np.full((len(sketches), _BANDS), -1)
    for band in range(_BANDS):
        rows = np.ascontiguousarray(sketches[:, band * _ROWS : (band + 1) * _ROWS])
        _, bucket, sizes = np.unique(rows.view(f"V{rows.itemsize * _ROWS}"), return_inverse=True, return_counts=True)
        bucket = bucket.ravel()
        shared = sizes[bucket] > 1
        buckets[shared, band] = bucket[shared]
    members: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for place in np.flatnonzero((buckets >= 0).any(axis=1)).tolist():
        found: set[int] = set()
        for band in np.flatnonzero(buckets[place] >= 0).tolist():
            bucket_members = members[band, int(buckets[place, band])]
            found.update(bucket_members)
            bucket_members.append(place)
        yield place, sorted(found)


def near_duplicate_groups(texts: Sequence[str], similarity: float = SIMILARITY) -> list[int]:
    """For each text the index of the first text of its group; a text alone is its own group.

    Groups are closed under likeness: A like B and B like C puts A and C together. The same
    texts always give the same groups.
    """
    groups = _Groups(len(texts))
    firsts: dict[str, int] = {}
    for index, folded in enumerate(map(fold, texts)):
        groups.join(firsts.setdefault(folded, index), index)
    distinct, numbers = list(firsts), list(firsts.values())
    grams = functools.lru_cache(_KEPT_SETS)(lambda place: shingles(distinct[place]))
    for place, candidates in _candidates(_sketches(distinct)):
        for candidate in candidates:
            one, other = numbers[place], numbers[candidate]
            together = groups.root(one) == groups.root(other)
            if not together and jaccard(grams(place), grams(candidate)) >= similarity:
                groups.join(one, other)
    return [groups.root(index) for index in range(len(texts))]


def apart_from(others: Sequence[str], texts: Sequence[str]) -> list[int]:
    """Indices of the ``texts`` that are no near-duplicate of one of the ``others``."""
    groups = near_duplicate_groups([*others, *texts])
    taken = set(groups[: len(others)])
    return [place for place, group in enumerate(groups[len(others) :]) if group not in taken]
