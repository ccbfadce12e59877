from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.columns import map_columns
from data.formats import write_table
from data.raw import RawRow, RawTable
from data.readers import label_table, load_labelled, read_labelled, text_id
from data.schema import LabelledText
from model.errors import InvalidInput
from model.taxonomy import load_taxonomy
from tests.shell import Kesu
from tests.test_data_workbook import book

TAXONOMY = load_taxonomy()
CSV = """工单号,投诉内容,原因,动机,严重度,性格
A1,"电饭煲冒烟，
吓坏孩子",Q3；质量缺陷,求补偿,重大,力量型
A2,请问几点关门,,,0,
A3,客服推来推去,service.response、Bad attitude,respect|求解决,2,不明显
"""


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le"])
def test_readers_csv_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    found = read_labelled(write(tmp_path, "a.csv", CSV.encode(encoding)))
    assert not found.problems
    assert found.lines == (2, 4, 5)
    assert found.rows[0].as_row() == {
        "id": "A1",
        "text": "电饭煲冒烟，\n吓坏孩子",
        "causes": ["quality.safety", "quality.defect"],
        "motives": ["compensation"],
        "severity": 4,
        "style": "powerful",
    }
    assert found.rows[2].causes == ("service.response", "service.attitude")
    assert found.rows[2].motives == ("respect", "resolution")


def test_readers_big5_csv(tmp_path: Path) -> None:
    text = "內容,原因,動機,嚴重度\n電鍋冒煙了，嚇壞孩子，客服都不理人,Q3,vent,4\n"
    path = write(tmp_path, "a.csv", text.encode("big5"))
    found = read_labelled(path, columns={"text": "內容", "motives": "動機", "severity": "嚴重度"})
    assert (found.encoding, found.rows[0].text) == ("big5", "電鍋冒煙了，嚇壞孩子，客服都不理人")


@pytest.mark.parametrize("suffix", [".csv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".xlsx", ".parquet"])
def test_readers_every_format_gives_the_same(tmp_path: Path, suffix: str) -> None:
    rows = read_labelled(write(tmp_path, "a.csv", CSV)).rows
    write_table(tmp_path / f"b{suffix}", list(rows[0].as_row()), [row.as_row() for row in rows])
    assert read_labelled(tmp_path / f"b{suffix}").rows == rows


LINES = [
    {"id": "ok", "text": "灯坏了", "causes": ["Q1"], "motives": ["vent"], "severity": 2},
    {"id": "b", "text": "灯坏了", "causes": ["Q1", "Q77"], "motives": ["vent"], "severity": 2},
    {"id": "c", "text": "  ", "causes": ["Q1"], "motives": ["vent"], "severity": 7},
    {"id": "d", "text": "门坏了\x00", "causes": [], "motives": [], "severity": 2},
    {"id": "e", "text": ["门"], "causes": "Q1", "motives": None, "severity": None},
    {"id": "f", "text": "长" * 100_001, "causes": "Q1", "motives": "", "severity": "一般"},
    {"id": "g", "text": "锁坏了", "causes": "Q1", "motives": "", "severity": 2.5, "style": "快活"},
]


def test_readers_each_problem_says_where_and_how_to_fix(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", "\n".join(json.dumps(line) for line in LINES))
    found = read_labelled(path)
    assert [row.id for row in found.rows] == ["ok"]
    assert [(p.line, p.column) for p in found.problems] == [
        (2, "causes"),
        *((3, "severity"), (3, "text")),
        *((4, "text"),),
        *((5, "text"), (5, "severity")),
        (6, "text"),
        *((7, "severity"), (7, "style")),
    ]
    assert all(p.file == str(path) and p.level == "error" and p.message and p.fix for p in found.problems)
    assert "Q77" in found.problems[0].message
    assert "100,001 characters" in found.problems[6].message


def test_readers_row_rule_is_reported_at_severity(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path, "a.csv", "内容,原因,动机,等级\n灯坏了,Q1,,0\n"))
    (problem,) = found.problems
    assert (problem.line, problem.column) == (2, "等级")
    assert "not a complaint" in problem.message


def test_readers_repeated_label_is_counted_once_with_a_warning(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path, "a.csv", "text,causes,motives,severity\n灯坏了,Q1;质量缺陷,vent,2\n"))
    assert found.rows[0].causes == ("quality.defect",)
    assert [p.level for p in found.problems] == ["warning"]


def test_readers_half_an_emoji_is_replaced_with_a_warning(tmp_path: Path) -> None:
    line = '{"text": "坏了\\ud83d", "causes": ["Q1"], "motives": [], "severity": 2}'
    found = read_labelled(write(tmp_path, "a.jsonl", line))
    assert found.rows[0].text == "坏了\ufffd"
    assert [p.level for p in found.problems] == ["warning"]


def test_readers_ids_are_made_from_the_text(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path, "a.csv", "text,causes,motives,severity\n灯坏了,Q1,,2\n灯坏了,Q1,,2\n"))
    assert [row.id for row in found.rows] == [text_id("灯坏了"), text_id("灯坏了") + "-2"]


def test_readers_unused_columns_are_named(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path, "a.csv", "text,causes,motives,severity,门店\n灯坏了,Q1,,2,东门\n"))
    assert "门店" in found.problems[0].message
    assert found.problems[0].level == "warning"


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "text,causes,motives,severity\n", "no rows"),
        ("a.csv", "text,causes\n灯坏了,Q1\n", "no column for motives"),
        ("a.jsonl", '{"content": "灯坏了"}', "no column for causes"),
        ("a.csv", b"\xff\xfeA", "damaged"),
        ("a.xlsx", "text", "no readable Excel workbook"),
    ],
)
def test_readers_refuses(tmp_path: Path, name: str, content: str | bytes, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        read_labelled(write(tmp_path, name, content))


def test_readers_file_of_bad_lines_gives_problems_only(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path, "a.jsonl", "{\n[\n"))
    assert not found.rows
    assert [p.line for p in found.problems] == [1, 2]


def test_readers_load_refuses_files_with_errors(tmp_path: Path) -> None:
    good, bad = write(tmp_path, "g.csv", CSV), write(tmp_path, "b.csv", CSV.replace("Q3", "Q9"))
    assert len(load_labelled([good, good])) == 6
    with pytest.raises(InvalidInput, match=r"b\.csv:2: 原因: error: unknown cause 'Q9'"):
        load_labelled([good, bad])


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "kesu.data"]


def test_readers_load_logs_columns_and_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "a.csv", "内容,原因,动机,等级,门店\n灯坏了,Q1;质量缺陷,vent,2,东门\n门坏了,Q1,,2\n")
    with caplog.at_level(logging.INFO, "kesu.data"):
        load_labelled([path])
    columns, *warnings = told(caplog)
    assert columns == f"{path}: text <- 内容, causes <- 原因, motives <- 动机, severity <- 等级"
    assert warnings == [str(problem) for problem in read_labelled(path).problems]
    assert ["not read: 门店" in warnings[0], "given twice" in warnings[1], "has 4 cells" in warnings[2]] == [True] * 3
    assert "坏了" not in "".join(warnings)


def test_readers_load_logs_nothing_of_kesus_own_form(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "a.csv", "text,causes,motives,severity\n灯坏了,Q1,,2\n")
    with caplog.at_level(logging.INFO, "kesu.data"):
        load_labelled([path])
    assert told(caplog) == []


def test_readers_load_logs_twenty_warnings_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, "a.csv", "text,causes,motives,severity,style\n" + "灯坏了,Q1,,2\n" * 23)
    load_labelled([path, path])
    lines = told(caplog)
    assert len(lines) == 42
    assert lines[20] == f"{path}: … and 3 more; `kesu data check {path} --json` lists all"


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("a.csv", "工单,causes,motives,severity\n灯坏了,Q1,,2\n", "--text-column"),
        ("a.csv", "我的内容,你的内容,causes,motives,severity\n灯,坏了,Q1,,2\n", "--text-column"),
        ("a.csv", "text,投诉原因（一级）,投诉原因（二级）,motives,severity\n灯坏了,Q1,Q3,,2\n", "--causes-column"),
        ("a.csv", b"text,causes\n" + bytes(range(128, 255)), "--encoding"),
        ("a.xlsx", book({"甲": [["说明"]], "乙": [["text"], ["灯坏了"]]}), "--sheet"),
    ],
)
def test_readers_load_advises_to_convert(tmp_path: Path, name: str, content: str | bytes, advice: str) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(InvalidInput) as refused:
        load_labelled([path])
    assert str(refused.value).startswith(f"{path}: ")
    assert str(refused.value).endswith(f"; convert it first: `kesu data convert {path} OUT.jsonl {advice} …`")
    assert str(refused.value).count(" --") == 1


def test_readers_load_names_the_sheets_it_would_lose(tmp_path: Path) -> None:
    rows = [["text", "causes", "motives", "severity"], ["灯坏了", "Q1", "", 2]]
    path = write(tmp_path, "a.xlsx", book({"甲": rows, "乙": rows, "空": []}))
    with pytest.raises(InvalidInput, match="more than one filled sheet; not read: 乙; convert it first"):
        load_labelled([path])
    assert "choose another with --sheet" in str(read_labelled(path).problems[0])


def test_readers_warnings_of_load_reach_stderr(tmp_path: Path, kesu: Kesu) -> None:
    gold = write(tmp_path, "a.csv", "id,内容,causes,motives,severity,门店\n1,灯坏了,Q1,,2,东门\n")
    answers = write(tmp_path, "answers.jsonl", '{"id": "1", "causes": [], "motives": [], "severity": 0}')
    code, _, err = kesu("evaluate", gold, "--predictions", answers, "--resamples", 10)
    assert code == 0
    assert f"{gold}: id <- id, text <- 内容, causes <- causes" in err
    assert f"{gold}:1: warning: not read: 门店" in err
    assert "灯坏了" not in err


CELLS = st.one_of(
    st.none(), st.text(max_size=8), st.integers(-3, 9), st.floats(), st.booleans(), st.lists(st.text(max_size=4))
)


@given(
    st.lists(
        st.fixed_dictionaries({"text": CELLS, "causes": CELLS, "motives": CELLS, "severity": CELLS, "style": CELLS}),
        min_size=1,
    )
)
@settings(max_examples=60, deadline=None)
def test_readers_every_row_is_a_text_or_an_error(rows: list[dict[str, object]]) -> None:
    path = Path("a.jsonl")
    columns = tuple(rows[0])
    table = RawTable(columns, tuple(RawRow(number, row) for number, row in enumerate(rows, 1)))
    found = label_table(table, path, map_columns(columns, path), TAXONOMY)
    assert set(found.lines) | {problem.line for problem in found.errors} == set(range(1, len(rows) + 1))
    assert not set(found.lines) & {problem.line for problem in found.errors}
    assert all(LabelledText.parse(row.as_row(), TAXONOMY) == row for row in found.rows)


def test_readers_warn_once_of_ids_that_are_numbers(tmp_path: Path) -> None:
    rows = [["编号", "text", "causes", "motives", "severity"], [42, "灯坏了", "Q1", "", 2], [7, "门坏了", "Q1", "", 2]]
    found = read_labelled(write(tmp_path, "a.xlsx", book({"a": rows})))
    assert [row.id for row in found.rows] == ["42", "7"]
    (problem,) = found.problems
    assert (problem.line, problem.column, problem.level) == (2, "编号", "warning")
    assert "2 ids are numbers; leading zeros (000042), if any, are lost" in problem.message
    assert "format the column as text" in problem.fix
    rows[1:] = [["000042", "灯坏了", "Q1", "", 2]]
    assert not read_labelled(write(tmp_path, "b.xlsx", book({"a": rows}))).problems
    # Text files show what they hold.
    assert not read_labelled(
        write(
            tmp_path,
            "a.jsonl",
            json.dumps({"id": 42, "text": "灯坏了", "causes": ["Q1"], "motives": [], "severity": 2}),
        )
    ).problems
