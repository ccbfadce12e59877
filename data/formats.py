"""Which reader and writer belongs to a file, by the ending of its name."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data.atomic import write_atomically
from data.delimited import delimited_bytes, read_delimited
from data.encodings import decode
from data.jsonl import jsonl_bytes, read_jsonl
from data.parquet import parquet_bytes, read_parquet
from data.problems import NeedsOption
from data.raw import MAX_BYTES, RawTable
from data.workbook import read_workbook, workbook_bytes
from model.errors import InvalidInput

_TEXT_FORMATS = (".csv", ".tsv", ".jsonl")
READABLE = (*_TEXT_FORMATS, *(f"{suffix}.gz" for suffix in _TEXT_FORMATS), ".xlsx", ".xls", ".parquet")
WRITABLE = tuple(suffix for suffix in READABLE if suffix != ".xls")
# First bytes of formats that people give a wrong name.
_SIGNATURES = {
    b"PK\x03\x04": "an Excel workbook or zip file",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (or one with a password)",
    b"%PDF": "a PDF",
}
_JOINT = ";"


def format_of(path: Path, allowed: Sequence[str] = READABLE) -> tuple[str, bool]:
    """Ending of the name and whether it is followed by ``.gz``; raises InvalidInput for other endings."""
    name = path.name.lower()
    suffix = next((suffix for suffix in allowed if name.endswith(suffix)), None)
    if suffix is None:
        raise InvalidInput(f"{path}: unknown kind of file; the name must end in one of {', '.join(allowed)}")
    return suffix.removesuffix(".gz"), suffix.endswith(".gz")


def _too_large(path: Path) -> InvalidInput:
    return InvalidInput(f"{path}: holds more than {MAX_BYTES >> 20:,} MB; split it into smaller files")


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _too_large(path)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InvalidInput(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be read: {error.strerror}; give a file you may read") from error
    if not data:
        raise InvalidInput(f"{path}: is empty (0 bytes); export it again")
    return data


def _unpacked(data: bytes, path: Path) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"{path}: is no intact gzip file: {error}; pack it again") from error
    if len(unpacked) > MAX_BYTES:
        raise _too_large(path)
    return unpacked


def _check_signature(data: bytes, suffix: str, path: Path) -> None:
    kind = next((kind for start, kind in _SIGNATURES.items() if data.startswith(start)), None)
    if suffix in _TEXT_FORMATS and kind is not None:
        raise InvalidInput(f"{path}: is {kind}, not {suffix}; give it the ending of what it is, or export it anew")


def read_table(path: Path, encoding: str | None = None, sheet: str | None = None) -> RawTable:
    """The table in any file kesu reads; ``encoding`` and ``sheet`` are found out unless told.

    Raises InvalidInput for a file that is missing, empty, without rows, too large, damaged, of an
    unknown kind or in another encoding; NeedsOption where another sheet may hold the rows.
    """
    table = _table(path, encoding, sheet)
    # Rows that cannot be read are told as errors of their own; a mere warning explains no empty table.
    if not table.rows and not any(problem.level == "error" for problem in table.problems):
        if table.unread:
            what = f"the first filled sheet has column names but no rows; not read: {', '.join(table.unread)}"
            raise NeedsOption(f"{path}: {what}", "name one by", "--sheet")
        raise InvalidInput(f"{path}: has column names but no rows; add one row a text")
    return table


def _table(path: Path, encoding: str | None, sheet: str | None) -> RawTable:
    suffix, packed = format_of(path)
    data = _bytes(path)
    if packed:
        data = _unpacked(data, path)
    if suffix in (".xlsx", ".xls"):
        return read_workbook(data, path, sheet)
    if suffix == ".parquet":
        return read_parquet(data, path)
    _check_signature(data, suffix, path)
    decoded = decode(data, encoding, path)
    if suffix == ".jsonl":
        return read_jsonl(decoded.text, path, decoded.encoding)
    return read_delimited(decoded.text, suffix, path, decoded.encoding)


def _flat(cell: Any) -> Any:
    return _JOINT.join(str(part) for part in cell) if isinstance(cell, list | tuple) else cell


def _encoded(suffix: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], path: Path) -> bytes:
    if suffix == ".jsonl":
        return jsonl_bytes(rows)
    if suffix == ".parquet":
        return parquet_bytes(columns, rows)
    cells = [[_flat(row.get(column)) for column in columns] for row in rows]
    return workbook_bytes(columns, cells, path) if suffix == ".xlsx" else delimited_bytes(columns, cells, suffix)


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """The rows as the kind of file that the name of ``path`` asks for; complete or not at all.

    Lists stay lists in JSONL and Parquet and are joined by ";" elsewhere. Raises InvalidInput
    for an unknown kind, for content the kind cannot hold, and when the disk refuses.
    """
    suffix, packed = format_of(path, WRITABLE)
    try:
        data = _encoded(suffix, columns, rows, path)
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{path}: a text holds half an emoji, which {suffix} cannot hold; write .jsonl") from error
    # No time in the header, so that the same rows give the same bytes.
    write_atomically(path, gzip.compress(data, mtime=0) if packed else data)
