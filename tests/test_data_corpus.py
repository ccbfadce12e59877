from __future__ import annotations

from pathlib import Path

import pytest

from data.audit import check
from data.card import CARD, update_card, with_figures
from data.corpus import FOLDER, load_corpus
from data.readers import read_labelled
from model.errors import InvalidInput
from model.taxonomy import load_taxonomy


def test_corpus_loads_by_split() -> None:
    rows = load_corpus()
    train, dev, heldout = (load_corpus(split) for split in ("train", "dev", "heldout"))
    assert len(train) + len(dev) + len(heldout) == len(rows)
    assert len(dev) >= 200
    with pytest.raises(InvalidInput, match="no split 'gold'; it has dev, heldout, train"):
        load_corpus("gold")


def test_corpus_is_free_of_errors() -> None:
    files = [read_labelled(path) for path in sorted(FOLDER.glob("*.jsonl"))]
    report = check(files, load_taxonomy())
    assert [str(problem) for problem in report.problems if problem.level == "error"] == []
    assert all(file.encoding == "utf-8" for file in files)


def test_card_is_up_to_date() -> None:
    text = CARD.read_text(encoding="utf-8")
    assert with_figures(text) == text, "run `kesu data card`"


def test_card_is_updated_once(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    text = CARD.read_text(encoding="utf-8")
    path.write_text(text.replace("| texts |", "| old |"), encoding="utf-8")
    assert update_card(path)
    assert path.read_text(encoding="utf-8") == text
    assert not update_card(path)


def test_card_without_markers_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no place for the figures"):
        with_figures("# A card")
