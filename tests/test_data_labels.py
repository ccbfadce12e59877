from __future__ import annotations

import pytest

from data.labels import Dimension, label_index, split_cell
from model.taxonomy import load_taxonomy

TAXONOMY = load_taxonomy()
INDEX = label_index(TAXONOMY)


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
