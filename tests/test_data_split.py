from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.schema import LabelledText
from data.split import assign_splits, stratification_labels
from model.errors import InvalidInput

FRACTIONS = {"train": 0.7, "dev": 0.2, "test": 0.1}
CHARACTERS = "退款快递坏了没人修理客服态度差房间吵价格贵发票押金漏水座椅脏迟到过期假货骗"


def made_up(number: int) -> tuple[list[str], list[list[str]]]:
    generator = random.Random(7)
    texts = ["".join(generator.choices(CHARACTERS, k=20)) for _ in range(number)]
    labels = [
        generator.sample(["a", "b", "c"], generator.randint(0, 2)) + (["rare"] if generator.random() < 0.02 else [])
        for _ in range(number)
    ]
    return texts, labels


def test_split_keeps_labels_in_proportion() -> None:
    texts, labels = made_up(1000)
    splits = assign_splits(texts, labels, FRACTIONS, seed=1)
    sizes = Counter(splits)
    assert all(abs(sizes[name] - 1000 * share) <= 10 for name, share in FRACTIONS.items())
    total = Counter(label for given in labels for label in given)
    for name, share in FRACTIONS.items():
        there = Counter(label for given, split in zip(labels, splits, strict=True) if split == name for label in given)
        assert all(abs(there[label] - share * total[label]) <= 3 for label in total)


def test_split_keeps_near_duplicates_together() -> None:
    texts, labels = made_up(300)
    texts += [f"{text}！{number}" for number, text in enumerate(texts)]
    splits = assign_splits(texts, labels * 2, FRACTIONS, seed=1)
    assert splits[:300] == splits[300:]


def test_split_is_seeded() -> None:
    texts, labels = made_up(200)
    assert assign_splits(texts, labels, FRACTIONS, 1) == assign_splits(texts, labels, FRACTIONS, 1)
    assert assign_splits(texts, labels, FRACTIONS, 1) != assign_splits(texts, labels, FRACTIONS, 2)


@given(st.lists(st.tuples(st.text("坏慢吵贵", max_size=6), st.lists(st.sampled_from("abc"), unique=True)), max_size=30))
@settings(max_examples=50, deadline=None)
def test_split_gives_every_text_a_known_split(rows: list[tuple[str, list[str]]]) -> None:
    splits = assign_splits([text for text, _ in rows], [labels for _, labels in rows], FRACTIONS, 3)
    assert len(splits) == len(rows)
    assert set(splits) <= set(FRACTIONS)


@pytest.mark.parametrize(
    "fractions", [{}, {"a": 0.5}, {"a": 1.5, "b": -0.5}, {"a": float("nan")}, {"a": 1.0, "b": 0.0}]
)
def test_split_refuses_fractions(fractions: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="fractions must"):
        assign_splits(["a"], [[]], fractions, 0)


def test_split_stratifies_by_all_dimensions() -> None:
    row = LabelledText(id="1", text="灯坏了", causes=("quality.defect",), motives=("vent",), severity=2)
    assert stratification_labels(row) == ["quality.defect", "vent", "severity=2", "style=unclear"]
