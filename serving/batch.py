"""Classify a JSONL file into another: in windows, in order, and whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from model.atomic import atomic_writer
from model.classification import Classification
from model.errors import InvalidInput
from serving.bundle import Bundle
from serving.rows import BadRow, Row, json_line, parse_rows

# Enough for the engine to share the texts out evenly, longest first; little enough to stay small in memory.
WINDOW_ROWS = 512
WINDOW_CHARACTERS = 300_000
# Endings of what people have complaints in; `kesu data convert` reads them.
_TABLES = (".csv", ".tsv", ".xlsx", ".parquet")


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows written, and rows set aside."""

    rows: int
    bad: int


def windows(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Consecutive rows, cut at ``WINDOW_ROWS`` rows or ``WINDOW_CHARACTERS`` characters."""
    window: list[Row] = []
    size = 0
    for row in rows:
        window.append(row)
        size += len(row.reading.normalised.source)
        if len(window) >= WINDOW_ROWS or size >= WINDOW_CHARACTERS:
            yield window
            window, size = [], 0
    if window:
        yield window


def answers(bundle: Bundle, window: list[Row], explain: bool) -> list[Classification]:
    """One classification a row, with the row's id."""
    found = bundle.classify([row.reading for row in window], [row.facts for row in window], explain)
    return [dataclasses.replace(answer, id=row.id) for answer, row in zip(found, window, strict=True)]


def errors_path(target: Path) -> Path:
    """Where rows that cannot be classified are set aside."""
    return target.with_name(target.name + ".errors.jsonl")


def check_paths(source: Path, target: Path) -> None:
    """Before any work is done: raises InvalidInput when ``source`` is no file or ``target`` cannot become one."""
    if source.is_dir():
        raise InvalidInput(f"{source}: is a folder; name a JSONL file")
    if not source.exists():
        raise InvalidInput(f"{source}: no such file")
    if source.suffix.lower() in _TABLES:
        command = f"kesu data convert {source} {source.with_suffix('.jsonl')} --as-is --id-column … --text-column …"
        raise InvalidInput(f"{source}: is a table, not JSON Lines; convert it: {command}")
    if not target.parent.is_dir():
        raise InvalidInput(f"{target}: its folder {target.parent} does not exist; create it first")
    for path in (target, errors_path(target)):
        if path.is_dir():
            raise InvalidInput(f"{path}: is a folder; name a file")
        if path.exists() and path.samefile(source):
            raise InvalidInput(f"{path}: is the input itself; name another output")
        if path.exists() and not path.is_file():
            raise InvalidInput(f"{path}: is a device or pipe; name a file")


def classify_file(
    bundle: Bundle,
    source: Path,
    target: Path,
    *,
    full: bool = False,
    explain: bool = False,
    skip_bad_rows: bool = False,
    progress: Callable[[int], object] = lambda position: None,
) -> Counts:
    """Write one row a row of ``source`` to ``target``: labels, or with ``full`` the whole answer, plan and all.

    Memory does not grow with the file, except for the ids seen. ``progress`` is told the
    bytes read. Raises InvalidInput for a file without rows, and naming file and line for
    the first bad row, unless ``skip_bad_rows`` sets those aside in ``errors_path``; also
    when ``target`` cannot be written. After any error both files are as they were before.
    """
    check_paths(source, target)
    written = 0
    try:
        handle = source.open("rb")
    except OSError as error:
        raise InvalidInput(f"{source}: cannot be read: {error.strerror}") from error
    try:
        with handle, contextlib.ExitStack() as files:
            out = files.enter_context(atomic_writer(target))
            bad = _BadRows(source, errors_path(target), files, skip_bad_rows)
            for window in windows(bad.sift(parse_rows(handle, bundle.classifier.read))):
                for row, answer in zip(window, answers(bundle, window, explain), strict=True):
                    out.write(json_line(bundle.whole(answer, row.context) if full else answer.to_row()))
                written += len(window)
                if handle.seekable():
                    progress(handle.tell())
            if not written:
                raise InvalidInput(f"{source}: holds no row that can be classified{bad.first}")
        if skip_bad_rows and not bad.count:
            errors_path(target).unlink(missing_ok=True)  # of an earlier run
    except OSError as error:
        raise InvalidInput(
            f"{target}: cannot be written: {error.strerror}; it is as it was before. "
            "Free some space or name another output"
        ) from error
    return Counts(written, bad.count)


class _BadRows:
    """Stops at the first bad row, or sets bad rows aside in a file that is made for the first of them."""

    def __init__(self, source: Path, path: Path, files: contextlib.ExitStack, skip: bool):
        self.source, self.path, self.files, self.skip = source, path, files, skip
        self.count = 0
        self.first = ""
        self._out: TextIO | None = None

    def sift(self, rows: Iterable[Row | BadRow]) -> Iterator[Row]:
        """The good rows."""
        for row in rows:
            if isinstance(row, Row):
                yield row
                continue
            if not self.skip:
                raise InvalidInput(
                    f"{self.source}:{row.line}: {row.reason} (--skip-bad-rows sets such rows aside and goes on)"
                )
            if self._out is None:
                self._out = self.files.enter_context(atomic_writer(self.path))
                self.first = f"; the first bad row is line {row.line}: {row.reason}"
            self._out.write(json_line({"line": row.line, "error": row.reason, "row": row.content}))
            self.count += 1
