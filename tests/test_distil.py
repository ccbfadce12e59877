from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from model.decode import sigmoid, softmax
from model.engine import Logits
from model.errors import InvalidInput
from model.taxonomy import Taxonomy
from tests.tiny import keyword_rows
from training import teachers
from training.distil import mean_opinion, soft_targets, write_soft
from training.targets import COLUMNS, LABELS


def logits(rows: int = 4, seed: int = 0) -> Logits:
    rng = np.random.default_rng(seed)
    return Logits(*(rng.normal(scale=3, size=(rows, size)).astype(np.float32) for size in (5, 3, 4, 2)))


def test_soft_targets_are_the_teacher_s_probabilities() -> None:
    raw = logits()
    soft = soft_targets(raw)
    assert set(soft) == set(COLUMNS)
    assert np.allclose(soft["causes"], sigmoid(raw.causes.astype(float)))
    assert np.allclose(soft["severity"], softmax(raw.severity.astype(float)))
    assert np.allclose(soft["style"].sum(1), 1)
    complaint = 1 - soft["severity"][:, 0]
    assert np.allclose(soft["primary_cause"].sum(1), complaint)
    assert np.allclose(soft["primary_motive"], softmax(raw.motives.astype(float)) * complaint[:, None])


def test_mean_opinion_is_weighted() -> None:
    one, other = soft_targets(logits(seed=1)), soft_targets(logits(seed=2))
    mean = mean_opinion([one, other], [3.0, 1.0])
    for name in COLUMNS:
        assert np.allclose(mean[name], 0.75 * one[name] + 0.25 * other[name])


@pytest.mark.parametrize("shares", [[1.0], [1.0, 1.0, 1.0], [0.0, 0.0], [2.0, -1.0]])
def test_mean_opinion_refuses_weights_that_do_not_fit(shares: list[float]) -> None:
    with pytest.raises(InvalidInput, match="weights"):
        mean_opinion([soft_targets(logits(seed=1)), soft_targets(logits(seed=2))], shares)


def test_write_soft_notes_the_labels_in_model_order(taxonomy: Taxonomy, tmp_path: Path) -> None:
    sizes = (len(taxonomy.causes), len(taxonomy.motives), taxonomy.levels, len(taxonomy.styles))
    raw = Logits(*(np.zeros((2, size), np.float32) for size in sizes))
    write_soft(tmp_path / "soft.parquet", ["甲", "乙"], soft_targets(raw), taxonomy)
    assert json.loads(parquet.read_schema(tmp_path / "soft.parquet").metadata[LABELS]) == {
        "causes": list(taxonomy.cause_ids),
        "motives": list(taxonomy.motive_ids),
        "severities": [label.id for label in taxonomy.severities],
        "styles": list(taxonomy.style_ids),
    }


def test_write_opinions_refuses_before_it_computes(tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "灯坏了"}\n', encoding="utf-8")
    with pytest.raises(InvalidInput, match="0 teachers but 0 weights"):
        teachers.write_opinions([texts], [], tmp_path / "soft.parquet")
    with pytest.raises(InvalidInput, match="1 teachers but 2 weights"):
        teachers.write_opinions([texts], [tmp_path / "model"], tmp_path / "soft.parquet", shares=[1.0, 2.0])
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InvalidInput, match="holds no text"):
        teachers.write_opinions([tmp_path / "empty.jsonl"], [tmp_path / "model"], tmp_path / "soft.parquet")
    assert not (tmp_path / "soft.parquet").exists()


def test_baseline_opinion_has_the_form_of_a_teacher_s(taxonomy, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(row.model_dump_json(exclude_none=True) for row in keyword_rows(taxonomy, 60)))
    soft = teachers.baseline_opinion(["昨天灯泡的事相当不满，要退款"], [path], taxonomy)
    assert set(soft) == set(COLUMNS)
    assert soft["causes"].shape == (1, len(taxonomy.causes))
    assert soft["primary_cause"].sum() == pytest.approx(1 - soft["severity"][0, 0])
    assert soft["severity"].sum() == pytest.approx(1)
