"""Parquet; rows are counted from 1."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars

from data.raw import MAX_BYTES, RawRow, RawTable
from model.errors import InvalidInput

# A few kilobytes of Parquet can stand for billions of equal rows.
MAX_ROWS = 10_000_000


def read_parquet(data: bytes, path: Path) -> RawTable:
    """The table in the bytes of a Parquet file; raises InvalidInput if it is damaged, empty or too large."""
    try:
        count = polars.scan_parquet(io.BytesIO(data)).select(polars.len()).collect().item()
        if count > MAX_ROWS:
            raise InvalidInput(f"{path}: has {count:,} rows; at most {MAX_ROWS:,} are read; split the file")
        frame = polars.read_parquet(io.BytesIO(data))
        texts = frame.select(polars.col(polars.String).str.len_bytes().sum())
    except (polars.exceptions.PolarsError, OSError) as error:
        raise InvalidInput(f"{path}: is no readable Parquet file: {error}; write it again") from error
    if frame.is_empty():
        raise InvalidInput(f"{path}: is empty; expected rows of texts")
    if sum(texts[column].item() or 0 for column in texts.columns) > MAX_BYTES:
        raise InvalidInput(f"{path}: holds more than {MAX_BYTES >> 20:,} MB of text; split the file")
    rows = tuple(RawRow(number, cells) for number, cells in enumerate(frame.iter_rows(named=True), 1))
    return RawTable(tuple(frame.columns), rows)


def parquet_bytes(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Parquet (zstd) of the rows; lists stay lists."""
    frame = polars.DataFrame(
        {column: [row.get(column) for row in rows] for column in columns}, strict=False, infer_schema_length=None
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
