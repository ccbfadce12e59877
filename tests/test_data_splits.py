from __future__ import annotations

import pytest

from data.splits import is_known, named_in, role_of


@pytest.mark.parametrize(
    ("names", "role"),
    [
        (("train", "Training", "训练", "训练集 "), "train"),
        (("dev", "held_out", "held-out", "HELDOUT", "validation", "ｖａｌ", "验证集", "开发", "留出集"), "dev"),
        (("test", "测试", "测试集"), "test"),
        ((None, "", " "), ""),
    ],
)
def test_role_of_reads_names_in_both_languages(names: tuple[str | None, ...], role: str) -> None:
    assert {role_of(name) for name in names} == {role}
    assert is_known(role)


def test_role_of_keeps_names_it_does_not_know() -> None:
    assert role_of("甲组") == "甲组"
    assert not is_known(role_of("fold_1"))


def test_named_in_takes_the_last_word_that_names_a_split() -> None:
    stems = ["gold_dev", "客诉_训练集", "train2024-validation", "contest", "客诉"]
    assert [named_in(stem) for stem in stems] == ["dev", "train", "dev", "", ""]
