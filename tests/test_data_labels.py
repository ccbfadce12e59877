from __future__ import annotations

from pathlib import Path

import pytest

from data.labels import Dimension, label_index, split_cell
from data.readers import read_labelled
from model.taxonomy import load_taxonomy, parse_taxonomy

TAXONOMY = load_taxonomy()
INDEX = label_index(TAXONOMY)
SHARED = parse_taxonomy(
    """
version: "shared"
groups: [{id: quality, zh: 质量, en: Quality, definition: d}, {id: service, zh: 服务, en: Service, definition: d}]
causes:
  - {id: quality.other, code: X1, group: quality, zh: 其他, en: "Other, any", definition: d}
  - {id: service.other, code: X1, group: service, zh: 其他, en: "Other, any", definition: d}
  - {id: late, code: A1, group: service, zh: 迟到, en: quality.other, definition: d}
  - {id: Late, code: A2, group: service, zh: a1, en: Very late, definition: d}
motives: [{id: calm, zh: 平静, en: 平静, definition: d}, {id: talk, zh: 说说, en: Talk, definition: d}]
severities: [{id: "0", zh: 无, en: "No", definition: d}, {id: "1", zh: 有, en: "Yes", definition: d}]
styles:
  - {id: plain, zh: 平, en: Plain, definition: d, neutral: true}
  - {id: flat, zh: 平, en: Flat, definition: d}
""",
    Path("shared.yaml"),
)


@pytest.mark.parametrize("dimension", ["causes", "motives", "severities", "styles"])
def test_labels_finds_every_spelling(dimension: Dimension) -> None:
    for label in getattr(TAXONOMY, dimension):
        for name in filter(None, (label.id, label.code, label.zh, label.en, label.en.upper(), f" {label.zh} ")):
            assert INDEX.resolve(dimension, name) == label.id


def test_labels_folds_width() -> None:
    assert INDEX.resolve("causes", "Ｑ１") == "quality.defect"
    assert INDEX.resolve_cell("motives", "M5、M2") == ["compensation", "revenge"]
    assert INDEX.resolve("styles", "h") == "lively"


@pytest.mark.parametrize(
    "cell", ["Q1;S2", "Q1；S2", "Q1,S2", "Q1， S2", "Q1、S2", "Q1|S2", "Q1\nS2", '["Q1", "S2"]', "['Q1','S2']"]
)
def test_labels_splits_cells(cell: str) -> None:
    assert INDEX.resolve_cell("causes", cell) == ["quality.defect", "service.response"]


@pytest.mark.parametrize("cell", ["", " ", "-", "无", "None", "NaN", "[]", ";;", "N/A"])
def test_labels_empty_cells_hold_nothing(cell: str) -> None:
    assert split_cell(cell) == []


def test_labels_keeps_unknown_names_for_the_error() -> None:
    assert INDEX.resolve_cell("causes", "Q1;奇怪") == ["quality.defect", "奇怪"]


def test_labels_shared_names_mean_no_single_label() -> None:
    index = label_index(SHARED)
    for name in ("其他", " 其 他", "X1", "x1", "other, ANY"):
        assert index.meant("causes", name) == ("quality.other", "service.other")
        assert index.resolve("causes", name) is None
    assert index.meant("causes", "A1") == ("late", "Late")  # a code of one, a name of the other
    assert index.resolve_cell("causes", "A2;其他") == ["Late", "其他"]
    assert index.resolve_cell("causes", "Other, any") == ["Other, any"]
    assert "quality.other (X1 其他), service.other (X1 其他)" in index.closest("causes", "其他的")
    assert index.resolve("motives", "平静") == "calm"  # both names of one label


def test_labels_ids_always_work() -> None:
    index = label_index(SHARED)
    for label in SHARED.causes:
        assert index.resolve("causes", label.id) == label.id
    assert index.resolve("causes", "Quality.Other") == "quality.other"
    assert index.meant("causes", "LATE") == ("late", "Late")
    assert index.resolve_cell("causes", "late;Late; service.other") == ["late", "Late", "service.other"]


def test_labels_shared_name_is_an_error_of_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "id,text,causes,motives,severity,style\n"
        "a,灯坏了,其他,calm,1,plain\n"
        "b,门坏了,late;x1,,1,平\n"
        "c,锁坏了,service.other;quality.other,,1,flat\n",
        encoding="utf-8",
    )
    found = read_labelled(path, SHARED)
    assert [row.causes for row in found.rows] == [("service.other", "quality.other")]
    causes = "write the id instead: quality.other or service.other"
    assert [(p.line, p.column, p.level, p.message, p.fix) for p in found.problems] == [
        (2, "causes", "error", "cause '其他' is a name of 2 labels", causes),
        (3, "causes", "error", "cause 'x1' is a name of 2 labels", causes),
        (3, "style", "error", "style '平' is a name of 2 labels", "write the id instead: plain or flat"),
    ]
