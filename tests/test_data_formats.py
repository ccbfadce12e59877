from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from data import formats
from data.formats import READABLE, WRITABLE, format_of, read_table, write_table
from model.errors import InvalidInput

ROWS = [{"id": "1", "text": "灯坏了，\n没人修", "causes": ["Q1", "S2"]}, {"id": "2", "text": "=你好", "causes": []}]


@pytest.mark.parametrize("suffix", WRITABLE)
def test_formats_give_back_what_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_table(path, ["id", "text", "causes"], ROWS)
    table = read_table(path)
    assert [row.cells["text"] for row in table.rows] == [row["text"] for row in ROWS]
    lists = suffix.startswith((".jsonl", ".parquet"))
    assert table.rows[0].cells["causes"] == (["Q1", "S2"] if lists else "Q1;S2")


@pytest.mark.parametrize("suffix", [".csv.gz", ".jsonl.gz", ".csv"])
def test_formats_same_rows_give_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / f"{name}{suffix}", ["id"], ROWS)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_formats_ending_is_case_blind() -> None:
    assert format_of(Path("A.CSV.GZ")) == (".csv", True)
    assert format_of(Path("a.b.XLSX")) == (".xlsx", False)


@pytest.mark.parametrize("name", ["a.doc", "a", "a.json", "csv"])
def test_formats_unknown_ending_lists_the_known(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"must end in one of \.csv"):
        format_of(Path(name))


def test_formats_refuses_missing_empty_and_folder(tmp_path: Path) -> None:
    empty = tmp_path / "e.csv"
    empty.touch()
    (tmp_path / "d.csv").mkdir()
    for name, match in (("no.csv", "no such file"), ("e.csv", "empty"), ("d.csv", "Is a directory")):
        with pytest.raises(InvalidInput, match=match):
            read_table(tmp_path / name)


@pytest.mark.parametrize(("start", "kind"), [(b"PK\x03\x04", "Excel"), (b"\x1f\x8b", "gzip"), (b"PAR1", "Parquet")])
def test_formats_names_what_a_misnamed_file_is(tmp_path: Path, start: bytes, kind: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(start + bytes(20))
    with pytest.raises(InvalidInput, match=kind):
        read_table(path)


@pytest.mark.parametrize("data", [b"no gzip", gzip.compress(b"id,text\n" * 99)[:-12], gzip.compress(b"x" * 99)[:20]])
def test_formats_refuses_damaged_gzip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match="no intact gzip"):
        read_table(path)


def test_formats_refuses_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_BYTES", 100)
    plain, packed = tmp_path / "a.csv", tmp_path / "a.csv.gz"
    plain.write_bytes(b"x" * 101)
    packed.write_bytes(gzip.compress(b"x" * 101, 9))
    for path in (plain, packed):
        with pytest.raises(InvalidInput, match="holds more than"):
            read_table(path)


def test_formats_half_an_emoji_fits_jsonl_only(tmp_path: Path) -> None:
    rows = [{"text": "好\ud83d"}]
    write_table(tmp_path / "a.jsonl", ["text"], rows)
    for suffix in (".csv", ".xlsx", ".parquet"):
        with pytest.raises(InvalidInput, match="half an emoji"):
            write_table(tmp_path / f"a{suffix}", ["text"], rows)
        assert not (tmp_path / f"a{suffix}").exists()


def test_formats_every_writable_is_readable() -> None:
    assert set(WRITABLE) < set(READABLE)
