from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from data.audit import Report, check
from data.readers import read_labelled
from data.report import print_report
from model.taxonomy import load_taxonomy

TAXONOMY = load_taxonomy()
LAMP = "楼道的灯坏了两个星期，报修三次都没有人来处理，晚上回家很不安全"


def row(text: str, **changes: Any) -> dict[str, Any]:
    return {"text": text, "causes": ["Q1"], "motives": ["vent"], "severity": 2} | changes


@pytest.fixture
def audit(tmp_path: Path) -> Any:
    def run(**files: list[dict[str, Any]]) -> Report:
        read = []
        for name, rows in files.items():
            path = tmp_path / f"{name}.jsonl"
            path.write_text("\n".join(json.dumps(row) for row in rows))
            read.append(read_labelled(path))
        return check(read, TAXONOMY)

    return run


def found(report: Report) -> list[tuple[int, str, str]]:
    """Line, level and message of the problems of rows."""
    return [(p.line, p.level, p.message) for p in report.problems if p.line]


def test_audit_finds_nothing_wrong_with_different_texts(audit: Any) -> None:
    assert found(audit(a=[row(LAMP), row("门锁打不开")])) == []


@pytest.mark.parametrize(
    ("second", "level", "words"),
    [
        (row(LAMP), "warning", "same text and labels"),
        (row(LAMP + " "), "warning", "same text and labels"),
        (row(LAMP, severity=3), "error", "other labels (severity)"),
        (row(LAMP, causes=["Q3"], motives=["revenge"]), "error", "other labels (causes, motives)"),
        (row(LAMP + "！"), "warning", "nearly the same"),
        (row(LAMP + "！", severity=4), "warning", "with other labels (severity)"),
        (row(LAMP, split="dev"), "error", "in split 'train', here in 'dev'"),
        (row(LAMP + "！", split="dev"), "error", "nearly the same text as"),
        (row(LAMP + "！", split="validation"), "error", "here in 'dev'"),
    ],
)
def test_audit_duplicates(audit: Any, second: dict[str, Any], level: str, words: str) -> None:
    report = audit(a=[row(LAMP, split="train"), row("门锁打不开"), second])
    ((line, given, message),) = found(report)
    assert (line, given) == (3, level)
    assert words in message
    assert "a.jsonl:1" in message


def test_audit_order_of_further_causes_is_no_conflict(audit: Any) -> None:
    report = audit(a=[row(LAMP, causes=["Q1", "Q3", "S2"]), row(LAMP, causes=["Q1", "S2", "Q3"])])
    assert report.number("error") == 0
    assert audit(a=[row(LAMP, causes=["Q1", "Q3"]), row(LAMP, causes=["Q3", "Q1"])]).number("error") == 1


def test_audit_splits_may_be_named_by_files(audit: Any) -> None:
    assert found(audit(my_train=[row(LAMP)], my_dev=[row(LAMP)]))[0][1] == "error"
    assert found(audit(batch1=[row(LAMP)], batch2=[row(LAMP)]))[0][1] == "warning"


def test_audit_leak_is_found_behind_a_copy_in_the_same_split(audit: Any) -> None:
    report = audit(a=[row(LAMP, split="train"), row(LAMP + "。", split="dev"), row(LAMP + "！", split="dev")])
    assert [(line, level) for line, level, _ in found(report)] == [(2, "error"), (3, "error")]


def test_audit_repeated_ids(audit: Any) -> None:
    report = audit(a=[row(LAMP, id="1"), row("门锁打不开", id="1")])
    assert found(report) == [(2, "error", found(report)[0][2])]
    assert "id '1'" in found(report)[0][2]


def test_audit_ids_of_two_files_have_nothing_to_do_with_each_other(audit: Any) -> None:
    assert found(audit(a=[row(LAMP, id="1")], b=[row("门锁打不开", id="1")])) == []


@pytest.mark.parametrize("text", ["the lamp is broken", "😡😡", "12345"])
def test_audit_warns_of_texts_without_chinese(audit: Any, text: str) -> None:
    ((_, level, message),) = found(audit(a=[row(text)]))
    assert level == "warning"
    assert "no Chinese" in message


def test_audit_counts_and_warns_of_thin_and_absent_labels(audit: Any) -> None:
    texts = [f"{LAMP[i]}{LAMP[i + 1]}{LAMP[i + 2]}" for i in range(27)]
    report = audit(a=[row(text, split="train") for text in texts])
    assert report.counts["causes"]["quality.defect"] == {"train": 27}
    messages = {p.message: p.level for p in report.problems}
    assert messages["only 27 texts have 'quality.defect'"] == "warning"
    assert messages["no text has 'quality.safety'"] == "warning"
    enough = audit(a=[row(f"{a}{b}") for a in LAMP[:6] for b in LAMP[6:12]])
    assert "only" not in " ".join(p.message for p in enough.problems if p.column == "causes")


def test_audit_keeps_problems_of_reading(audit: Any) -> None:
    report = audit(a=[row(LAMP), row(""), row(LAMP, causes=["Q99"])])
    assert [(line, level) for line, level, _ in found(report)] == [(2, "error"), (3, "error")]
    assert report.number("error") == 2


def test_audit_report_as_json(audit: Any) -> None:
    report = json.loads(json.dumps(audit(a=[row(LAMP), row("")]).as_dict()))
    assert (report["rows"], report["errors"]) == (1, 1)
    assert report["files"][0]["columns"]["text"] == "text"
    assert set(report["problems"][0]) == {"file", "line", "column", "level", "message", "fix"}


def test_report_shows_mapping_counts_and_problems(audit: Any) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    print_report(audit(a=[row(LAMP), row("[bold]坏"), *([row("")] * 50)]), console)
    shown = console.export_text()
    assert "text <- text" in shown
    assert "quality.defect" in shown
    assert "2 texts, 50 errors" in shown
    assert "… and 10 more errors; --json lists all" in shown


def test_audit_counts_complaints_without_labels(audit: Any) -> None:
    rows = [row(f"{thing}坏了没人修") for thing in "灯门锁窗桌椅床柜杯碗盆勺"]
    # As merged cells come out: the first row of a block has the cause, the others have none.
    merged = [{**one, "causes": one["causes"] if number % 4 == 0 else []} for number, one in enumerate(rows)]
    merged[0]["motives"] = []
    report = audit(a=merged)
    told = [(p.level, p.column, p.message) for p in report.problems if "complaints ha" in p.message]
    assert told == [
        ("warning", "causes", "9 of 12 complaints have no cause (lines 2, 3, 4, 6, 7, 8, 10, 11, 12)"),
        ("warning", "motives", "1 of 12 complaints has no motive (line 1)"),
    ]
    none = audit(a=[row("灯坏了", causes=[]) for _ in range(13)] + [row("很好", causes=[], motives=[], severity=0)])
    assert any(
        "13 of 13 complaints have no cause (lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …)" in p.message for p in none.problems
    )


def test_audit_reads_all_names_of_a_split_alike(audit: Any) -> None:
    for one, other in (("dev", "heldout"), ("train", "training"), ("验证集", "held_out"), ("测试", "test")):
        report = audit(a=[row(LAMP, split=one), row(LAMP + "！", split=other)])
        assert report.number("error") == 0, (one, other)
    assert audit(a=[row(LAMP, split="训练集"), row(LAMP, split="测试集")]).number("error") == 1


def test_audit_names_splits_that_no_training_reads(audit: Any) -> None:
    report = audit(a=[row(LAMP, split="训练集"), row("门锁打不开", split="甲组"), row("窗关不上", split="测试集")])
    told = [(p.column, p.level, p.message) for p in report.problems if "kesu train" in p.message]
    assert told == [("split", "warning", "1 rows have split '甲组'; `kesu train` leaves them out")]
