from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data.cli import app
from data.formats import read_table
from data.readers import read_labelled
from model.errors import InvalidInput
from serving.rows import BadRow, Row, parse_rows
from tests.test_data_workbook import book

RUN = CliRunner()
GOOD = """投诉内容,原因,动机,严重度
楼道的灯坏了两个星期没人修,Q1;S2,求解决,2
=房间太吵根本睡不着,Q4,发泄,2
请问几点关门,,,0
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.csv"
    path.write_bytes(GOOD.encode("gbk"))
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.csv"
    path.write_text(GOOD.replace("Q4", "Q44"), encoding="utf-8")
    return path


def test_cli_check_clean_file(good: Path) -> None:
    result = RUN.invoke(app, ["check", str(good)])
    assert result.exit_code == 0, result.output
    assert "gb18030; text <- 投诉内容, causes <- 原因" in result.output
    assert "3 texts, 0 errors" in result.output


def test_cli_check_errors_exit_1(bad: Path) -> None:
    result = RUN.invoke(app, ["check", str(bad)])
    assert result.exit_code == 2
    assert "bad.csv:3: 原因: error: unknown cause 'Q44' (closest known: " in result.output


def test_cli_check_json(good: Path, bad: Path) -> None:
    result = RUN.invoke(app, ["check", str(good), str(bad), "--json"])
    report = json.loads(result.stdout)
    assert result.exit_code == 2
    assert (report["rows"], len(report["files"])) == (5, 2)
    assert [p["line"] for p in report["problems"] if "Q44" in p["message"]] == [3]


def test_cli_check_told_columns_and_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("甲,乙,丙,丁\n灯坏了,Q1,vent,2\n".encode("gbk"))
    options = ["--text-column", "甲", "--causes-column", "乙", "--motives-column", "丙", "--severity-column", "丁"]
    assert RUN.invoke(app, ["check", str(path), *options, "--encoding", "gbk"]).exit_code == 0


def test_cli_check_other_taxonomy(tmp_path: Path) -> None:
    taxonomy = tmp_path / "t.yaml"
    taxonomy.write_text(
        "version: '1'\n"
        "groups: [{id: g, zh: 组, en: G, definition: d}]\n"
        "causes: [{id: lamp, group: g, zh: 灯, en: Lamp, definition: d}]\n"
        "motives: [{id: vent, zh: 发泄, en: Vent, definition: d}]\n"
        "severities: [{id: '0', zh: 无, en: n, definition: d}, {id: '1', zh: 有, en: y, definition: d}]\n"
        "styles: [{id: u, zh: 平, en: U, definition: d, neutral: true}]\n",
        encoding="utf-8",
    )
    path = tmp_path / "a.csv"
    path.write_text("text,causes,motives,severity\n灯坏了,灯,发泄,有\n", encoding="utf-8")
    assert RUN.invoke(app, ["check", str(path), "--taxonomy", str(taxonomy)]).exit_code == 0
    assert RUN.invoke(app, ["check", str(path)]).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "missing.csv"],
        ["check", "GOOD", "--encoding", "utf-8"],
        ["check", "GOOD", "--text-column", "没有"],
        ["convert", "GOOD", "out.doc"],
        ["convert", "GOOD", "out.xls"],
        ["split", "GOOD", "--output", "out.csv", "--fractions", "train=0.5"],
        ["split", "GOOD", "--output", "out.csv", "--fractions", "train"],
        ["split", "GOOD", "--output", "out.csv", "--fractions", "a=0.5,a=0.5"],
    ],
)
def test_cli_unusable_input_is_an_error_for_the_user(
    good: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(good.parent)
    result = RUN.invoke(app, [str(good) if argument == "GOOD" else argument for argument in arguments])
    # The main command turns it into a message and exit code 2.
    assert isinstance(result.exception, InvalidInput)
    assert [path.name for path in good.parent.iterdir()] == ["good.csv"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".jsonl.gz", ".xlsx", ".parquet"])
def test_cli_convert_keeps_the_texts(good: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    result = RUN.invoke(app, ["convert", str(good), str(out)])
    assert result.exit_code == 0, result.output
    assert read_labelled(out).rows == read_labelled(good).rows


def test_cli_convert_guards_formulas(good: Path, tmp_path: Path) -> None:
    RUN.invoke(app, ["convert", str(good), str(tmp_path / "out.csv")])
    assert ",'=房间太吵" in (tmp_path / "out.csv").read_text(encoding="utf-8-sig")


def test_cli_convert_and_split_write_nothing_when_rows_are_wrong(bad: Path, tmp_path: Path) -> None:
    for arguments in (["convert", str(bad), "OUT"], ["split", str(bad), "--output", "OUT"]):
        out = tmp_path / "out.jsonl"
        result = RUN.invoke(app, [str(out) if argument == "OUT" else argument for argument in arguments])
        assert result.exit_code == 2
        assert "Q44" in result.output
        assert "nothing was written" in result.output
        assert not out.exists()


def test_cli_convert_as_is_keeps_all_columns(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "a.jsonl"
    path.write_text("门店,备注\n东门,灯坏了\n", encoding="utf-8")
    assert RUN.invoke(app, ["convert", str(path), str(out), "--as-is"]).exit_code == 0
    assert json.loads(out.read_text(encoding="utf-8")) == {"门店": "东门", "备注": "灯坏了"}


def test_cli_convert_as_is_gives_told_columns_their_names(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "a.jsonl"
    path.write_text("单号,门店,备注\n7,东门,灯坏了\n", encoding="gb18030")
    command = ["convert", str(path), str(out), "--as-is", "--id-column", "单号", "--text-column", "备注"]
    assert RUN.invoke(app, command).exit_code == 0
    assert json.loads(out.read_text(encoding="utf-8")) == {"id": "7", "门店": "东门", "text": "灯坏了"}
    path.write_text("单号,text,备注\n7,东门,灯坏了\n", encoding="utf-8")
    for arguments, told in (
        (["--text-column", "备注"], "has a column 'text' besides '备注'"),
        (["--text-column", "说明"], "has no column '说明'"),
    ):
        result = RUN.invoke(app, ["convert", str(path), str(tmp_path / "b.jsonl"), "--as-is", *arguments])
        assert isinstance(result.exception, InvalidInput)
        assert told in str(result.exception)
        assert not (tmp_path / "b.jsonl").exists()


def test_cli_split_writes_all_texts_with_a_split(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "out.jsonl"
    lines = [f"{a}{b}坏了没有人修,Q1,vent,2" for a in "灯门锁窗桌椅床柜" for b in "东西南北中"]
    path.write_text("text,causes,motives,severity\n" + "\n".join(lines), encoding="utf-8")
    arguments = ["split", str(path), "--output", str(out), "--fractions", "train=0.75,dev=0.25", "--seed", "4"]
    assert RUN.invoke(app, arguments).exit_code == 0
    first = out.read_bytes()
    splits = [row.split for row in read_labelled(out).rows]
    assert (splits.count("train"), splits.count("dev")) == (30, 10)
    RUN.invoke(app, arguments)
    assert out.read_bytes() == first
    again = RUN.invoke(app, ["split", str(out), "--output", str(out), "--seed", "5"])
    assert "were replaced" in again.output


def test_cli_card_check() -> None:
    result = RUN.invoke(app, ["card", "--check"])
    assert (result.exit_code, "up to date" in result.output) == (0, True)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".xlsx", ".parquet"])
def test_cli_convert_as_is_gives_whole_numbers_and_texts(tmp_path: Path, suffix: str) -> None:
    path, out = tmp_path / "num.xlsx", tmp_path / f"num{suffix}"
    path.write_bytes(book({"a": [["工单号", "投诉内容", "分"], [42, 12315, 1.5], [20240501000123, "灯坏了", 2]]}))
    options = ["--as-is", "--id-column", "工单号", "--text-column", "投诉内容"]
    result = RUN.invoke(app, ["convert", str(path), str(out), *options])
    assert result.exit_code == 0, result.output
    rows = [row.cells for row in read_table(out).rows]
    assert [str(row["id"]) for row in rows] == ["42", "20240501000123"]
    # A sheet or a Parquet file has one type a column, so ids stay numbers there, and texts are texts everywhere.
    assert [row["text"] for row in rows] == ["12315", "灯坏了"]
    assert [float(row["分"]) for row in rows] == [1.5, 2]
    assert result.output.count("leading zeros (000042), if any, are lost") == 1


def test_cli_convert_as_is_is_read_by_classify(tmp_path: Path) -> None:
    path, out = tmp_path / "num.xlsx", tmp_path / "num.jsonl"
    path.write_bytes(book({"a": [["id", "text"], [42, "灯坏了"], [43, 12315]]}))
    assert RUN.invoke(app, ["convert", str(path), str(out), "--as-is"]).exit_code == 0
    with out.open("rb") as handle:
        rows = list(parse_rows(handle, lambda text: text))  # type: ignore[arg-type, return-value]
    assert [(row.id, row.reading) for row in rows if isinstance(row, Row)] == [(42, "灯坏了"), (43, "12315")]
    bad = next(parse_rows(io.BytesIO(b'{"id": 42.0, "text": "x"}'), lambda text: text))  # type: ignore[arg-type, return-value]
    assert isinstance(bad, BadRow)
    assert 'write 42 or "42", not 42.0' in bad.reason


def test_cli_convert_as_is_needs_no_choice_between_columns_it_keeps(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "a.jsonl"
    path.write_text("投诉原因（一级）,投诉原因（二级）,备注\n甲,乙,灯坏了\n", encoding="utf-8")
    assert RUN.invoke(app, ["convert", str(path), str(out), "--as-is", "--text-column", "备注"]).exit_code == 0


COVER = {"封面": [["投诉登记表"]], "明细": [["text", "causes", "motives", "severity"], ["灯坏了", "Q1", "vent", 2]]}


@pytest.mark.parametrize("command", ["check", "convert", "as is", "split"])
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("two.xlsx", book(COVER), "no rows; not read: 明细; name one by --sheet"),
        (
            "blank.csv",
            b"text,causes,motives,severity\n ,\n",
            "has column names but no rows; add one row a text",
        ),
    ],
)
def test_cli_file_without_rows_is_no_success(
    tmp_path: Path, command: str, name: str, content: bytes, told: str
) -> None:
    path, out = tmp_path / name, tmp_path / "out.jsonl"
    path.write_bytes(content)
    arguments = {
        "check": ["check", str(path)],
        "convert": ["convert", str(path), str(out)],
        "as is": ["convert", str(path), str(out), "--as-is"],
        "split": ["split", str(path), "--output", str(out)],
    }[command]
    result = RUN.invoke(app, arguments)
    assert isinstance(result.exception, InvalidInput)
    assert told in str(result.exception)
    assert not out.exists()
