from __future__ import annotations

from pathlib import Path

import pytest

from data import parquet
from data.parquet import parquet_bytes, read_parquet
from model.errors import InvalidInput

PATH = Path("a.parquet")
ROWS = [{"text": "灯坏了", "causes": ["quality.defect"], "severity": 2}, {"text": "你好", "causes": [], "severity": 0}]


def test_parquet_gives_back_what_was_written() -> None:
    table = read_parquet(parquet_bytes(["text", "causes", "severity"], ROWS), PATH)
    assert [dict(row.cells) for row in table.rows] == ROWS
    assert [row.line for row in table.rows] == [1, 2]


def test_parquet_keeps_columns_that_only_late_rows_fill() -> None:
    rows = [*({"text": str(i)} for i in range(300)), {"text": "x", "split": "dev"}]
    table = read_parquet(parquet_bytes(["text", "split"], rows), PATH)
    assert [row.cells["split"] for row in table.rows if row.cells["split"]] == ["dev"]


@pytest.mark.parametrize("data", [b"PAR1", b"nothing", b"PAR1" + bytes(50) + b"PAR1"])
def test_parquet_refuses_damaged_files(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="no readable Parquet file"):
        read_parquet(data, PATH)


def test_parquet_refuses_empty_files() -> None:
    with pytest.raises(InvalidInput, match="is empty"):
        read_parquet(parquet_bytes(["text"], []), PATH)


def test_parquet_refuses_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet_bytes(["text"], [{"text": "坏了"}] * 3)
    monkeypatch.setattr(parquet, "MAX_ROWS", 2)
    with pytest.raises(InvalidInput, match="has 3 rows; at most 2"):
        read_parquet(data, PATH)
    monkeypatch.setattr(parquet, "MAX_ROWS", 3)
    monkeypatch.setattr(parquet, "MAX_BYTES", 10)
    with pytest.raises(InvalidInput, match="split the file"):
        read_parquet(data, PATH)
