from __future__ import annotations

from pathlib import Path

import pytest

from data.columns import NAMES, map_columns
from data.problems import NeedsOption
from model.errors import InvalidInput

PATH = Path("a.csv")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["text", "causes", "motives", "severity"], ["text", "causes", "motives", "severity"]),
        (["编号", "投诉内容", "原因", "动机", "严重度", "性格"], ["投诉内容", "原因", "动机", "严重度"]),
        (["评论", "标签", "诉求", "等级"], ["评论", "标签", "诉求", "等级"]),
        (["Text ", "Cause", "MOTIVE", "Severity"], ["Text ", "Cause", "MOTIVE", "Severity"]),
        (
            ["投诉内容（必填）", "原因标签*", "客户 动机", "严重程度(0-4)"],
            ["投诉内容（必填）", "原因标签*", "客户 动机", "严重程度(0-4)"],
        ),
        (
            ["客户投诉内容", "主要原因", "主要动机", "事件严重度"],
            ["客户投诉内容", "主要原因", "主要动机", "事件严重度"],
        ),
    ],
)
def test_columns_guesses(columns: list[str], expected: list[str]) -> None:
    mapping = map_columns(columns, PATH)
    assert [mapping.columns[field] for field in ("text", "causes", "motives", "severity")] == expected


def test_columns_told_go_before_guessing() -> None:
    mapping = map_columns(["text", "内容2", "causes", "motives", "severity"], PATH, {"text": "内容2"})
    assert mapping.columns["text"] == "内容2"
    assert mapping.unused == ("text",)


def test_columns_shows_itself() -> None:
    mapping = map_columns(["内容", "原因", "动机", "级别"], PATH)
    assert str(mapping) == "text <- 内容, causes <- 原因, motives <- 动机, severity <- 级别"


def test_columns_exact_name_is_not_taken_by_an_ending() -> None:
    mapping = map_columns(["来源", "数据来源", "text", "causes", "motives", "severity", "投诉渠道"], PATH)
    assert mapping.columns["source"] == "来源"
    assert mapping.columns["channel"] == "投诉渠道"


def test_columns_missing_names_those_there() -> None:
    with pytest.raises(InvalidInput, match=r"no column for severity; the columns are 'text'.*--severity-column"):
        map_columns(["text", "causes", "motives"], PATH)


def test_columns_told_missing_suggests() -> None:
    with pytest.raises(InvalidInput, match=r"no column '投诉内荣' .did you mean '投诉内容'"):
        map_columns(["投诉内容", "causes", "motives", "severity"], PATH, {"text": "投诉内荣"})


def test_columns_ambiguous_asks() -> None:
    with pytest.raises(InvalidInput, match="'客户留言', '店家留言' may each be the text"):
        map_columns(["客户留言", "店家留言", "causes", "motives", "severity"], PATH)


@pytest.mark.parametrize(
    "alike",
    [
        ["投诉原因（一级）", "投诉原因（二级）"],
        ["客户投诉原因（一级）", "客户投诉原因（二级）"],
        ["Causes", "causes "],
    ],
)
def test_columns_whose_names_fold_alike_ask(alike: list[str]) -> None:
    columns = ["text", *alike, "motives", "severity"]
    with pytest.raises(NeedsOption, match="may each be the causes; choose one with --causes-column") as refused:
        map_columns(columns, PATH)
    assert all(repr(column) in str(refused.value) for column in alike)
    told = map_columns(columns, PATH, {"causes": alike[1]})
    assert (told.columns["causes"], told.unused) == (alike[1], (alike[0],))


def test_columns_alike_that_mean_nothing_or_cannot_be_told() -> None:
    needed = ["text", "causes", "motives", "severity"]
    assert map_columns([*needed, "备注(1)", "备注(2)"], PATH).unused == ("备注(1)", "备注(2)")
    with pytest.raises(InvalidInput, match="may each be the channel; rename all but one of them"):
        map_columns([*needed, "渠道(1)", "渠道(2)"], PATH)


def test_columns_told_twice_or_unknown() -> None:
    with pytest.raises(InvalidInput, match="two fields"):
        map_columns(["a", "b"], PATH, {"text": "a", "causes": "a"})
    with pytest.raises(InvalidInput, match="unknown field"):
        map_columns(["a", "b"], PATH, {"mood": "a"})


def test_columns_no_name_stands_for_two_fields() -> None:
    names = [name for spellings in NAMES.values() for name in spellings]
    assert len(names) == len(set(names))
