"""Labelled texts from files: every row becomes a LabelledText or a Problem, never nothing."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data.columns import ColumnMapping, map_columns
from data.formats import read_table
from data.labels import Dimension, LabelIndex, label_index
from data.problems import Level, NeedsOption, Problem, one_line
from data.raw import RawRow, RawTable, as_text
from data.schema import LabelledText
from model.errors import InvalidInput
from model.taxonomy import Taxonomy, load_taxonomy

_SURROGATE = re.compile("[\ud800-\udfff]")
_SHOWN_ERRORS = 5
_SHOWN_WARNINGS = 20
# `kesu` shows it on stderr, see serving.cli.
_log = logging.getLogger("kesu.data")


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """What one file gave. ``lines[i]`` is where ``rows[i]`` stands in it."""

    path: Path
    rows: tuple[LabelledText, ...]
    lines: tuple[int, ...]
    mapping: ColumnMapping
    encoding: str
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that kept rows from being read."""
        return tuple(problem for problem in self.problems if problem.level == "error")


def text_id(text: str) -> str:
    """The id given to a text that comes without one: 12 hexadecimal digits of its content."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()


def _labels(cell: Any, dimension: Dimension, index: LabelIndex) -> list[str]:
    if isinstance(cell, list | tuple):
        return [label for part in cell for label in index.resolve_cell(dimension, as_text(part))]
    return index.resolve_cell(dimension, as_text(cell))


class _RowReader:
    """Turns the raw rows of one table into LabelledTexts, collecting problems."""

    def __init__(self, path: Path, mapping: ColumnMapping, taxonomy: Taxonomy) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._mapping = mapping
        self._taxonomy = taxonomy
        self._index = label_index(taxonomy)
        self._ids: Counter[str] = Counter()

    def _problem(self, row: RawRow, field: str, level: Level, message: str, fix: str) -> None:
        column = self._mapping.columns.get(field, field)
        self.problems.append(Problem(str(self._path), row.line, column, level, message, fix))

    def _text(self, row: RawRow, cell: Any) -> str | None:
        if cell is not None and not isinstance(cell, str | int | float):
            self._problem(row, "text", "error", f"expected a text, found {one_line(str(cell))}", "give one string")
            return None
        text = as_text(cell)
        if _SURROGATE.search(text):
            message = "half an emoji (a lone surrogate) was replaced by U+FFFD"
            self._problem(row, "text", "warning", message, "export the text without cutting it")
            text = _SURROGATE.sub("\ufffd", text)
        return text

    def _once(self, row: RawRow, field: str, labels: list[str]) -> list[str]:
        unique = list(dict.fromkeys(labels))
        if len(unique) < len(labels):
            doubled = next(label for label in labels if labels.count(label) > 1)
            message = f"label {doubled!r} is given twice; counted once"
            self._problem(row, field, "warning", message, "give each label once")
        return unique

    def _one(self, row: RawRow, field: str, dimension: Dimension, cell: Any) -> str | None:
        """The one label in a cell, None for a problem, "" for an empty cell."""
        labels = _labels(cell, dimension, self._index)
        if len(labels) > 1:
            message = f"expected one {field}, found {len(labels)}: {one_line(', '.join(labels))}"
            self._problem(row, field, "error", message, "keep the one that fits best")
            return None
        return labels[0] if labels else ""

    def _severity(self, row: RawRow, cell: Any) -> int | None:
        label = self._one(row, "severity", "severities", as_text(cell))
        if label is None:
            return None
        known = {level.id: level.zh for level in self._taxonomy.severities}
        if label not in known:
            message = f"unknown severity {one_line(label)!r}" if label else "the severity is missing"
            levels = ", ".join(f"{number} {name}" for number, name in known.items())
            self._problem(row, "severity", "error", message, f"known levels: {levels}")
            return None
        return int(label)

    def _id(self, cell: Any, text: str) -> str:
        given = as_text(cell).strip()
        if given:
            return given
        base = text_id(text)
        self._ids[base] += 1
        return base if self._ids[base] == 1 else f"{base}-{self._ids[base]}"

    def read(self, row: RawRow) -> LabelledText | None:
        """The row, or None with at least one error among :attr:`problems`."""
        cells = {field: row.cells.get(column) for field, column in self._mapping.columns.items()}
        text = self._text(row, cells.get("text"))
        severity = self._severity(row, cells.get("severity"))
        style = self._one(row, "style", "styles", cells.get("style"))
        fields: dict[str, Any] = {
            field: as_text(cells[field]).strip() or None
            for field in ("domain", "channel", "origin", "split", "source")
            if field in cells
        }
        fields["causes"] = self._once(row, "causes", _labels(cells.get("causes"), "causes", self._index))
        fields["motives"] = self._once(row, "motives", _labels(cells.get("motives"), "motives", self._index))
        # A part already found wrong gets a stand-in, so that one pass also names what else is wrong.
        stand_in = 0 if not (fields["causes"] or fields["motives"]) else 1
        fields |= {
            "id": self._id(cells.get("id"), text or ""),
            "text": "?" if text is None else text,
            "severity": stand_in if severity is None else severity,
            "style": style or "",
        }
        try:
            parsed = LabelledText.parse(fields, self._taxonomy)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                field = str(detail["loc"][0]) if detail["loc"] else "severity"
                fix = str(detail.get("ctx", {}).get("fix", "correct the cell"))
                self._problem(row, field, "error", one_line(detail["msg"], 200), fix)
            return None
        return None if text is None or severity is None or style is None else parsed


def label_table(table: RawTable, path: Path, mapping: ColumnMapping, taxonomy: Taxonomy) -> LabelledFile:
    """The rows of ``table`` as labelled texts; ``path`` names the file in problems."""
    reader = _RowReader(path, mapping, taxonomy)
    parsed = [(row.line, reader.read(row)) for row in table.rows]
    problems = [*table.problems, *reader.problems]
    if "id" in mapping.columns:
        problems.extend(table.numeric_ids(path, mapping.columns["id"]))
    if mapping.unused:
        message = f"not read: {', '.join(map(one_line, mapping.unused))}"
        fix = "nothing to do unless one of them holds labels; then name it with an option of `kesu data convert`"
        problems.append(Problem(str(path), table.header, "", "warning", message, fix))
    kept = [(line, row) for line, row in parsed if row is not None]
    return LabelledFile(
        path=path,
        rows=tuple(row for _, row in kept),
        lines=tuple(line for line, _ in kept),
        mapping=mapping,
        encoding=table.encoding,
        problems=tuple(sorted(problems, key=lambda problem: problem.line)),
    )


def read_labelled(
    path: Path,
    taxonomy: Taxonomy | None = None,
    *,
    encoding: str | None = None,
    columns: Mapping[str, str] | None = None,
    sheet: str | None = None,
) -> LabelledFile:
    """Labelled texts of a CSV, TSV, XLSX, JSONL or Parquet file.

    ``columns`` (field -> column name), ``encoding`` and ``sheet`` are guessed unless told.
    Labels may be ids, codes, or names in Chinese or English, as a list or joined by ``; , 、 |``.
    Rows that cannot be used are among ``problems`` with what to do about them. Raises
    InvalidInput where there is no table to speak of: no file, an empty or damaged one, another
    encoding, a missing column.
    """
    return _labelled(read_table(path, encoding, sheet), path, taxonomy or load_taxonomy(), columns)


def _labelled(
    table: RawTable, path: Path, taxonomy: Taxonomy, columns: Mapping[str, str] | None = None
) -> LabelledFile:
    if not table.rows:
        # Every row is among the problems, and what none of them holds cannot be asked for.
        return LabelledFile(path, (), (), ColumnMapping({}), table.encoding, table.problems)
    return label_table(table, path, map_columns(table.columns, path, columns), taxonomy)


def load_labelled(paths: Iterable[Path], taxonomy: Taxonomy | None = None) -> list[LabelledText]:
    """All rows of files that must be free of errors, in order; guessed columns and warnings go to the log "kesu.data".

    Its callers have none of the options by which ``kesu data`` is told sheet, columns and
    encoding: what those decide is an error here. Raises InvalidInput naming the first errors.
    """
    taxonomy = taxonomy or load_taxonomy()
    rows: list[LabelledText] = []
    for path in paths:
        try:
            table = read_table(path)
            if table.unread:
                sheets = ", ".join(table.unread)
                raise NeedsOption(
                    f"{path}: holds more than one filled sheet; not read: {sheets}", "name one by", "--sheet"
                )
            found = _labelled(table, path, taxonomy)
        except NeedsOption as error:
            advice = f"convert it first: `kesu data convert {path} OUT.jsonl {error.option} …`"
            raise InvalidInput(f"{error.what}; {advice}") from error
        raise_for_errors(found.problems, path)
        _tell(found)
        rows.extend(found.rows)
    return rows


def _tell(found: LabelledFile) -> None:
    """Log how a file without errors was read; its warnings name places, columns and known labels, never a text."""
    if any(field != column for field, column in found.mapping.columns.items()):
        _log.info("%s: %s", found.path, found.mapping)
    warnings = [problem for problem in found.problems if problem.level == "warning"]
    for problem in warnings[:_SHOWN_WARNINGS]:
        _log.warning("%s", problem)
    more = len(warnings) - _SHOWN_WARNINGS
    if more > 0:
        _log.warning("%s: … and %d more; `kesu data check %s --json` lists all", found.path, more, found.path)


def raise_for_errors(problems: Sequence[Problem], path: Path) -> None:
    """Raise InvalidInput if any of the problems is an error."""
    errors = [problem for problem in problems if problem.level == "error"]
    if errors:
        shown = "\n".join(f"  {problem}" for problem in errors[:_SHOWN_ERRORS])
        more = f"\n  and {len(errors) - _SHOWN_ERRORS} more" if len(errors) > _SHOWN_ERRORS else ""
        raise InvalidInput(
            f"{path}: {len(errors)} rows or cells are wrong:\n{shown}{more}\n`kesu data check` shows all"
        )
