"""Whether labelled data is fit to learn from and to measure on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import gaps, splits
from data.neighbours import near_duplicate_groups
from data.problems import Level, Problem
from data.readers import LabelledFile
from data.schema import LabelledText
from model.taxonomy import Taxonomy
from model.text import han_share

# Fewer texts than this and a label is neither learnt nor measured with any certainty.
THIN = 30
NO_SPLIT = "-"
# Places named in a problem that many rows share.
_SHOWN_LINES = 10
# Counts by dimension, label and split.
Counts = dict[str, dict[str, dict[str, int]]]


@dataclass(frozen=True, slots=True)
class Report:
    """What was read and what is wrong with it. ``counts[dimension][label][split]`` are numbers of texts."""

    files: tuple[LabelledFile, ...]
    problems: tuple[Problem, ...]
    counts: Counts

    @property
    def rows(self) -> int:
        """Number of texts that could be read."""
        return sum(len(file.rows) for file in self.files)

    def number(self, level: Level) -> int:
        """Number of problems of that level."""
        return sum(problem.level == level for problem in self.problems)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-ready fields."""
        return {
            "rows": self.rows,
            "errors": self.number("error"),
            "warnings": self.number("warning"),
            "files": [
                {
                    "file": str(file.path),
                    "rows": len(file.rows),
                    "encoding": file.encoding,
                    "columns": dict(file.mapping.columns),
                    "unused_columns": list(file.mapping.unused),
                }
                for file in self.files
            ],
            "counts": self.counts,
            "problems": [problem.as_dict() for problem in self.problems],
        }


@dataclass(frozen=True, slots=True)
class _Placed:
    """A text with where it stands and the split it belongs to ("" unknown)."""

    row: LabelledText
    file: LabelledFile
    line: int
    split: str

    @property
    def place(self) -> str:
        return f"{self.file.path}:{self.line}"

    def problem(self, field: str, level: Level, message: str, fix: str) -> Problem:
        column = self.file.mapping.columns.get(field, field)
        return Problem(str(self.file.path), self.line, column, level, message, fix)


def split_of(row: LabelledText, path: Path) -> str:
    """Role of the split a row names, or else its file's name does ("gold_dev.csv"); "" where neither does."""
    return splits.role_of(row.split) or splits.named_in(path.name.split(".")[0])


def _placed(files: Sequence[LabelledFile]) -> list[_Placed]:
    return [
        _Placed(row, file, line, split_of(row, file.path))
        for file in files
        for row, line in zip(file.rows, file.lines, strict=True)
    ]


def _differing(one: LabelledText, other: LabelledText) -> str:
    """Fields in which the labels differ; only the first of several labels has a rank of its own."""
    differing = [name for name in ("severity", "style") if getattr(one, name) != getattr(other, name)]
    for name in ("motives", "causes"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if set(mine) != set(theirs) or mine[:1] != theirs[:1]:
            differing.insert(0, name)
    return ", ".join(differing)


def _apart(one: _Placed, other: _Placed) -> bool:
    return bool(one.split and other.split and one.split != other.split)


def _exact(first: _Placed, copy: _Placed) -> Problem:
    differing = _differing(first.row, copy.row)
    if _apart(first, copy):
        message = f"same text as {first.place}, there in split {first.split!r}, here in {copy.split!r}"
        return copy.problem("text", "error", message, "keep it in one split: figures on the other are false")
    if differing:
        message = f"same text as {first.place} with other labels ({differing})"
        return copy.problem("text", "error", message, "decide on one labelling and delete the other row")
    return copy.problem("text", "warning", f"same text and labels as {first.place}", "delete one of them")


def _near(firsts: Sequence[_Placed], copy: _Placed) -> Problem:
    """``firsts`` are the first text of each split that the group of ``copy`` has had so far."""
    across = next((first for first in firsts if _apart(first, copy)), None)
    if across is not None:
        message = f"nearly the same text as {across.place}, there in split {across.split!r}, here in {copy.split!r}"
        return copy.problem("text", "error", message, "keep both in one split: figures on the other are false")
    differing = _differing(firsts[0].row, copy.row)
    message = f"nearly the same text as {firsts[0].place}" + (f" with other labels ({differing})" if differing else "")
    return copy.problem(
        "text", "warning", message, "check that both are wanted" + (" and labelled alike" * bool(differing))
    )


def _duplicates(placed: Sequence[_Placed]) -> Iterable[Problem]:
    groups: defaultdict[int, list[_Placed]] = defaultdict(list)
    for item, group in zip(placed, near_duplicate_groups([item.row.text for item in placed]), strict=True):
        groups[group].append(item)
    for members in groups.values():
        firsts: dict[str, _Placed] = {}
        copies: defaultdict[str, dict[str, _Placed]] = defaultdict(dict)
        for item in members:
            same = copies[item.row.text.strip()]
            if same:
                earlier = list(same.values())
                yield _exact(next((copy for copy in earlier if _apart(copy, item)), earlier[0]), item)
            elif firsts:
                yield _near(list(firsts.values()), item)
            same.setdefault(item.split, item)
            firsts.setdefault(item.split, item)


def _repeated_ids(placed: Sequence[_Placed]) -> Iterable[Problem]:
    # By file: two exports that each count from 1 name different texts alike, and nothing joins files on ids.
    first: dict[tuple[Path, str], _Placed] = {}
    for item in placed:
        earlier = first.setdefault((item.file.path, item.row.id), item)
        if earlier.row.text.strip() != item.row.text.strip():
            message = f"id {item.row.id!r} is also that of {earlier.place}"
            yield item.problem("id", "error", message, "give each text an id of its own")


def _language(placed: Sequence[_Placed]) -> Iterable[Problem]:
    for item in placed:
        if han_share(item.row.text) == 0.0:
            message = "the text has no Chinese character"
            yield item.problem("text", "warning", message, "check that the right column is read; kesu reads Chinese")


def _lines(file: LabelledFile, places: Sequence[int]) -> str:
    shown = ", ".join(str(file.lines[place]) for place in places[:_SHOWN_LINES])
    return f"line{'s' * (len(places) > 1)} {shown}" + (", …" if len(places) > _SHOWN_LINES else "")


def _unlabelled(files: Sequence[LabelledFile]) -> Iterable[Problem]:
    for file in files:
        for field in gaps.FIELDS:
            if places := gaps.without(file.rows, field):
                message = f"{gaps.told(file.rows, field)} ({_lines(file, places)})"
                column = file.mapping.columns.get(field, field)
                yield Problem(str(file.path), 0, column, "warning", message, gaps.FIX)


def _unknown_splits(files: Sequence[LabelledFile]) -> Iterable[Problem]:
    for file in files:
        unknown = Counter(
            row.split for row in file.rows if row.split and not splits.is_known(splits.role_of(row.split))
        )
        column = file.mapping.columns.get("split", "split")
        for name, number in unknown.items():
            message = f"{number} rows have split {name!r}; `kesu train` leaves them out"
            yield Problem(str(file.path), 0, column, "warning", message, f"known splits are {splits.KNOWN}")


def count_labels(rows: Iterable[tuple[LabelledText, str]], taxonomy: Taxonomy) -> Counts:
    """Numbers of texts by dimension, label and split; labels that never occur are there, with no split."""
    levels = tuple(level.id for level in taxonomy.severities)
    counts: Counts = {
        "causes": {label: {} for label in taxonomy.cause_ids},
        "motives": {label: {} for label in taxonomy.motive_ids},
        "severity": {label: {} for label in levels},
        "style": {label: {} for label in taxonomy.style_ids},
    }
    for row, split in rows:
        labels = {"causes": row.causes, "motives": row.motives, "severity": (str(row.severity),), "style": (row.style,)}
        for dimension, given in labels.items():
            for label in given:
                by_split = counts[dimension][label]
                by_split[split or NO_SPLIT] = by_split.get(split or NO_SPLIT, 0) + 1
    return counts


def _thin(counts: Counts, where: str) -> Iterable[Problem]:
    for dimension, labels in counts.items():
        for label, by_split in labels.items():
            number = sum(by_split.values())
            if number == 0:
                message, fix = f"no text has {label!r}", "label some, or expect it never to be found"
            elif number < THIN:
                message, fix = f"only {number} texts have {label!r}", f"label at least {THIN}, better some hundred"
            else:
                continue
            yield Problem(where, 0, dimension, "warning", message, fix)


def check(files: Sequence[LabelledFile], taxonomy: Taxonomy) -> Report:
    """Audit of files that are used together.

    Adds to what reading found: texts that occur twice or nearly so (an error when the labels of
    equal texts differ or the two lie in different splits), ids that repeat within a file, texts
    without Chinese, complaints without a cause or motive, splits that no training knows, labels
    that are thin or absent.
    """
    placed = _placed(files)
    counts = count_labels(((item.row, item.split) for item in placed), taxonomy)
    problems = [problem for file in files for problem in file.problems]
    for found in (
        _repeated_ids(placed),
        _duplicates(placed),
        _language(placed),
        _unlabelled(files),
        _unknown_splits(files),
    ):
        problems.extend(found)
    order = {str(file.path): number for number, file in enumerate(files)}
    problems.sort(key=lambda problem: (order[problem.file], problem.line))
    where = str(files[0].path) if len(files) == 1 else "all files"
    problems.extend(_thin(counts, where))
    return Report(tuple(files), tuple(problems), counts)
