"""What is wrong with a playbook: every error with file, line and field, told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.errors import KesuError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error: ``line`` and ``column`` count from 1 (0 where the whole file is meant); ``field`` is a path."""

    file: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class InvalidPlaybook(KesuError):
    """A playbook that cannot be used; ``problems`` holds all of its errors in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        count = len(self.problems)
        head = f"the playbook has {count} error{'s' if count != 1 else ''}"
        super().__init__("\n  ".join([head, *map(str, self.problems)]))


def closest(word: str, known: Sequence[str]) -> str:
    """A hint that names the known word nearest to ``word``, however far; empty when nothing is known."""
    # Long words make difflib slow, and no id is that long.
    found = difflib.get_close_matches(word[:100].lower(), list(known), n=1, cutoff=0.0)
    return f"; the closest known is {found[0]!r}" if found else ""
