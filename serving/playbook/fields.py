"""Reading typed fields from a tree: a wrong one is noted with its place, and reading goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from serving.playbook.nodes import Item
from serving.playbook.problems import Problem, closest

_ID = re.compile(r"[a-z][a-z0-9_.-]{0,79}")
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Bilingual:
    """The same words in Chinese and English."""

    zh: str
    en: str

    def to_dict(self) -> dict[str, str]:
        """As JSON."""
        return {"zh": self.zh, "en": self.en}


class Fields:
    """Reads fields; a wrong field yields a harmless stand-in and one entry in ``problems``."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def wrong(self, item: Item, message: str) -> None:
        """Note an error at ``item``."""
        self.problems.append(item.problem(message))

    def mapping(self, item: Item, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Item]:
        """The fields of a mapping: all of ``required``, any of ``optional``, nothing else."""
        allowed = [*required, *optional]
        if not isinstance(item.value, dict):
            self.wrong(item, f"expected a mapping with {', '.join(allowed)}, found {_shown(item)}")
            return {}
        for key, value in item.value.items():
            if key not in allowed:
                self.wrong(value, f"unknown field {key!r}{closest(key, allowed)}")
        for key in required:
            if key not in item.value:
                self.wrong(item, f"the field {key!r} is missing")
        return {key: value for key, value in item.value.items() if key in allowed}

    def entries(self, item: Item) -> dict[str, Item]:
        """A mapping whose keys the file chooses."""
        if isinstance(item.value, dict):
            return item.value
        self.wrong(item, f"expected a mapping, found {_shown(item)}")
        return {}

    def items(self, item: Item | None) -> list[Item]:
        """A list; a missing field is an empty one."""
        if item is None:
            return []
        if isinstance(item.value, list):
            return item.value
        self.wrong(item, f"expected a list, found {_shown(item)}")
        return []

    def text(self, item: Item | None) -> str:
        """A non-empty text."""
        if item is None:
            return ""
        if not isinstance(item.value, str):
            self.wrong(item, f"expected a text, found {_shown(item)} (put quotes around numbers, dates, yes and no)")
        elif not item.value.strip():
            self.wrong(item, "must not be empty")
        elif len(item.value) > _LONGEST:
            self.wrong(item, f"longer than {_LONGEST} characters")
        else:
            return item.value.strip()
        return ""

    def identifier(self, item: Item | None) -> str:
        """An id: lower-case letters, digits and . _ - after a letter."""
        found = self.text(item)
        if item is not None and found and not _ID.fullmatch(found):
            self.wrong(item, f"{found[:40]!r} is no id: lower-case letters, digits, '.', '_' and '-', a letter first")
        return found

    def bilingual(self, item: Item | None) -> Bilingual:
        """A mapping of exactly zh and en."""
        parts = self.mapping(item, ("zh", "en")) if item is not None else {}
        return Bilingual(self.text(parts.get("zh")), self.text(parts.get("en")))

    def texts(self, item: Item | None, at_least: int = 0) -> tuple[str, ...]:
        """A list of texts."""
        found = tuple(self.text(entry) for entry in self.items(item))
        if item is not None and isinstance(item.value, list) and len(found) < at_least:
            self.wrong(item, f"needs at least {at_least} entries")
        return found

    def flag(self, item: Item | None) -> bool:
        """True or false."""
        if item is not None and not isinstance(item.value, bool):
            self.wrong(item, f"expected true or false, found {_shown(item)}")
        return item is not None and item.value is True

    def integer(self, item: Item | None, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        if item is None:
            return low
        if isinstance(item.value, bool) or not isinstance(item.value, int) or not low <= item.value <= high:
            self.wrong(item, f"expected a whole number from {low} to {high}, found {_shown(item)}")
            return low
        return item.value

    def day(self, item: Item | None) -> date | None:
        """A date, or null for an end that is open or not known."""
        if item is None or item.value is None:
            return None
        if isinstance(item.value, datetime) or not isinstance(item.value, date):
            self.wrong(item, f"expected a date such as 2026-04-14 without quotes, or null, found {_shown(item)}")
            return None
        return item.value

    def one_of(self, item: Item | None, known: Iterable[str], what: str) -> str:
        """One word of ``known``; ``what`` names the kind of thing in the error."""
        found = self.text(item)
        words = list(known)
        if item is not None and found and found not in words:
            self.wrong(item, f"unknown {what} {found[:80]!r}{closest(found, words)}")
            return ""
        return found

    def some_of(self, item: Item | None, known: Iterable[str], what: str) -> tuple[str, ...]:
        """One word of ``known`` or a list of several, each once."""
        if item is None:
            return ()
        words = list(known)
        if isinstance(item.value, list) and not item.value:
            self.wrong(item, "an empty list matches nothing; leave the field out")
        entries = item.value if isinstance(item.value, list) else [item]
        found: list[str] = []
        for entry in entries:
            word = self.one_of(entry, words, what)
            if word in found and word:
                self.wrong(entry, f"{what} {word!r} appears twice")
            elif word:
                found.append(word)
        return tuple(found)


def _shown(item: Item) -> str:
    if item.value is None:
        return "nothing"
    if isinstance(item.value, dict | list):
        return "a mapping" if isinstance(item.value, dict) else "a list"
    return repr(str(item.value)[:40]) if isinstance(item.value, str) else str(item.value)[:40]
