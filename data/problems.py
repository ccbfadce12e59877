"""What is wrong with a file, in the user's own coordinates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from model.errors import InvalidInput

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about labelled data.

    ``line`` is the number the user sees: the line of a text file, the row of a sheet, the
    record of a Parquet file, each counted from 1; 0 means the file as a whole. ``column``
    is the column's name in that file, "" where the whole row is meant.
    """

    file: str
    line: int
    column: str
    level: Level
    message: str
    fix: str

    def __str__(self) -> str:
        """``file:line: column: error: message (fix)``, the form editors jump to."""
        place = self.file + (f":{self.line}" if self.line else "") + (f": {self.column}" if self.column else "")
        return f"{place}: {self.level}: {self.message} ({self.fix})"

    def as_dict(self) -> dict[str, str | int]:
        """The problem as JSON-ready fields."""
        return asdict(self)


class NeedsOption(InvalidInput):
    """A file that ``option`` of ``kesu data`` makes readable; ``what`` is the message without the advice to give it.

    Commands that lack these options give other advice.
    """

    def __init__(self, what: str, advice: str, option: str) -> None:
        super().__init__(f"{what}; {advice} {option}")
        self.what = what
        self.option = option


def one_line(text: str, limit: int = 40) -> str:
    """``text`` on one line, cut to ``limit`` characters, for use inside a message."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
