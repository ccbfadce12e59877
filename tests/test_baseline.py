from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.errors import InvalidInput
from model.taxonomy import Taxonomy, parse_taxonomy
from training.baseline import Baseline, fit
from training.metrics import evaluate

SMALL = """
version: "t"
groups: [{id: goods, zh: 货, en: Goods, definition: d}, {id: people, zh: 人, en: People, definition: d}]
causes:
  - {id: broken, group: goods, zh: 坏, en: Broken, definition: d}
  - {id: lost, group: goods, zh: 丢, en: Lost, definition: d}
  - {id: rude, group: people, zh: 凶, en: Rude, definition: d}
motives: [{id: money, zh: 钱, en: Money, definition: d}, {id: sorry, zh: 歉, en: Apology, definition: d}]
severities:
  - {id: "0", zh: 无, en: None, definition: d}
  - {id: "1", zh: 轻, en: Low, definition: d}
  - {id: "2", zh: 重, en: High, definition: d}
styles: [{id: calm, zh: 静, en: Calm, definition: d, neutral: true}, {id: loud, zh: 闹, en: Loud, definition: d}]
"""
SIGNS = {"broken": "水壶用一次就裂了", "lost": "包裹弄丢了", "rude": "店员骂人"}
WANTS = {"money": "请退钱", "sorry": "必须道歉"}


@pytest.fixture(scope="module")
def small() -> Taxonomy:
    return parse_taxonomy(SMALL, Path("small.yaml"))


def rows_of(count: int) -> list[dict[str, Any]]:
    """Rows that a linear model can learn: each label has its words."""
    source = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for i in range(count):
        if i % 5 == 0:
            row = {"text": f"谢谢，{i}号订单很满意", "causes": [], "motives": [], "severity": 0, "style": "calm"}
        else:
            causes = [c for c in SIGNS if source.random() < 0.4] or ["lost"]
            motive, loud = ("money", "sorry")[i % 2], bool(source.random() < 0.5)
            text = "，".join([f"{i}号订单", *(SIGNS[c] for c in causes), WANTS[motive]]) + (
                "！太过分了！" if loud else "。"
            )
            level, style = (2, "loud") if loud else (1, "calm")
            row = {"text": text, "causes": causes, "motives": [motive], "severity": level, "style": style}
        rows.append({"id": str(i), **row})
    return rows


@pytest.fixture(scope="module")
def fitted(small: Taxonomy) -> Baseline:
    return fit(rows_of(240), small)


def test_baseline_learns_any_taxonomy(fitted: Baseline, small: Taxonomy) -> None:
    held_out = rows_of(300)[240:]
    answers = fitted.predict([row["text"] for row in held_out])
    found = evaluate(
        {r["id"]: r for r in held_out}, {r["id"]: a for r, a in zip(held_out, answers, strict=True)}, small
    )
    assert found["index"] > 0.9
    assert found["complaint_f1"] > 0.95


def test_baseline_rows_are_like_the_classifiers(fitted: Baseline, small: Taxonomy) -> None:
    texts = [row["text"] for row in rows_of(40)]
    probabilities = fitted.probabilities(texts)
    for row, causes in zip(fitted.predict(texts), probabilities["causes"], strict=True):
        assert set(row) == {
            *("causes", "motives", "severity", "style"),
            *("confidence", "decision", "cause_probabilities"),
        }
        assert isinstance(row["severity"], int)
        assert 0 <= row["confidence"] <= 1
        assert (row["severity"] > 0) == bool(row["causes"]) == bool(row["motives"])
        ranks = [causes[small.cause_ids.index(c)] for c in row["causes"]]
        assert ranks == sorted(ranks, reverse=True)
    assert fitted.predict([]) == []


def test_baseline_probabilities_have_their_shapes(fitted: Baseline) -> None:
    found = fitted.probabilities(["包裹弄丢了", "？"])
    assert {name: values.shape for name, values in found.items()} == {
        "causes": (2, 3),
        "motives": (2, 2),
        "severity": (2, 3),
        "style": (2, 2),
    }
    for name in ("severity", "style"):
        assert found[name].sum(axis=1) == pytest.approx([1, 1])
    assert found["causes"][0].argmax() == 1
    assert all(((values > 0) & (values < 1)).all() for values in found.values())


def test_baseline_is_deterministic(small: Taxonomy) -> None:
    texts = ["店员骂人，必须道歉", "水壶用一次就裂了"]
    first, second = (fit(rows_of(80), small, seed=4).probabilities(texts) for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_baseline_survives_labels_it_never_saw(small: Taxonomy) -> None:
    rows = [row for row in rows_of(60) if "rude" not in row["causes"] and row["severity"] in (0, 1)]
    model = fit(rows, small)
    found = model.probabilities(["店员骂人"])
    assert found["causes"][0, 2] < 0.1
    assert found["severity"][0, 2] < 0.01
    alike = [row | {"severity": 1, "style": "loud", "motives": ["money"]} for row in rows if row["causes"]][:3]
    answer = fit(alike, small).predict(["完全没见过的话"])[0]
    assert (answer["severity"], answer["style"], answer["motives"]) == (1, "loud", ["money"])


def test_baseline_refuses_no_rows_and_unknown_labels(small: Taxonomy) -> None:
    with pytest.raises(InvalidInput, match="needs labelled rows"):
        fit([], small)
    with pytest.raises(InvalidInput, match="training row '0': cause 'late'"):
        fit([rows_of(2)[1] | {"id": "0", "causes": ["late"]}], small)
