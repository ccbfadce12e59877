"""Augmentations: seeded, label-preserving, and worth the model's while."""

from __future__ import annotations

import random
import re

import pytest

from model.text import normalise
from training import augment as module
from training.augment import AUGMENTATIONS, augment

TEXTS = (
    "昨天在京东买的3号电池，寄到武汉已经漏液了，联系客服也不理，要求退款！",
    "手机屏幕碎了，维修点说要等20天。",
    "请问这款支持无线充电吗",
    "1、灯不亮；2、遥控器失灵；3、说明书缺页。不是我弄坏的！！",
)


def rng() -> random.Random:
    return random.Random(7)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("text", TEXTS)
def test_augment_depends_on_text_and_seed_alone(name: str, text: str) -> None:
    assert AUGMENTATIONS[name](text, rng()) == AUGMENTATIONS[name](text, rng())


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("text", ["", " ", "。", "差", "a" * 5000])
def test_augment_bears_any_text(name: str, text: str) -> None:
    changed = AUGMENTATIONS[name](text, rng())
    assert len(changed) <= len(text) + 40


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augment_changes_a_usual_complaint(name: str) -> None:
    assert AUGMENTATIONS[name](TEXTS[0], rng()) != TEXTS[0]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augment_keeps_negations_and_numbers(name: str) -> None:
    text = normalise("不是人为损坏，没有摔过，3月5日扣了298元，客服未处理。").text
    for seed in range(20):
        changed = normalise(AUGMENTATIONS[name](text, random.Random(seed))).text
        for kept in ("不是", "没有", "3月5日", "298元", "未"):
            assert kept in changed


@pytest.mark.parametrize("name", ["punctuation_dropped", "punctuation_spaced", "punctuation_repeated", "emoji"])
def test_augment_leaves_exclamations_and_list_numbers(name: str) -> None:
    for seed in range(20):
        changed = AUGMENTATIONS[name](TEXTS[3], random.Random(seed))
        assert changed.count("！") == 2
        assert all(number in changed for number in ("1、", "2、", "3、"))


def test_full_width_is_undone_by_normalisation() -> None:
    changed = AUGMENTATIONS["full_width"](TEXTS[1], rng())
    assert "２０" in changed
    assert normalise(changed).text == normalise(TEXTS[1]).text


def test_traditional_converts_characters() -> None:
    assert AUGMENTATIONS["traditional"]("维修点说要等", rng()) == "維修點說要等"
    assert AUGMENTATIONS["traditional_tw"]("坐在里面等着", rng()) == "坐在裡面等著"


def test_emoji_adds_one_or_two_and_nothing_else() -> None:
    for seed in range(20):
        changed = AUGMENTATIONS["emoji"](TEXTS[0], random.Random(seed))
        assert 1 <= len(changed) - len(TEXTS[0]) <= 2
        assert changed.translate({ord(mark): None for mark in module._EMOJI}) == TEXTS[0]


def test_polite_and_hotline_keep_the_text_whole() -> None:
    for seed in range(20):
        for name in ("polite", "hotline"):
            assert TEXTS[1] in AUGMENTATIONS[name](TEXTS[1], random.Random(seed))


def test_frames_are_not_put_on_twice() -> None:
    for text in ("来电人称手机坏了。", "市民反映路灯不亮。", "【投诉】菜里有虫。"):
        assert AUGMENTATIONS["hotline"](text, rng()) == text
    for seed in range(20):
        assert AUGMENTATIONS["polite"]("您好，少了一件，谢谢！", random.Random(seed)) == "您好，少了一件，谢谢！"


def test_names_are_replaced_by_their_kind_and_alike_within_a_text() -> None:
    placeholders = 0
    for seed in range(30):
        changed = AUGMENTATIONS["names"](
            "从北京市寄往成都，顺丰快递说北京市大雨，京东不管，招商银行也不管", random.Random(seed)
        )
        match = re.fullmatch(r"从(.+)寄往(.+)，(.+)说(.+)大雨，(.+)不管，(.+)也不管", changed)
        assert match is not None
        assert match[1] == match[4] != match[2]
        for new, old in zip(match.groups(), ("北京市", "成都", "顺丰快递", "北京市", "京东", "招商银行"), strict=True):
            assert new != old
        assert match[6].endswith("银行")
        placeholders += match[1] in {f"{mark}市" for mark in "ABCDEFGH"}
    assert 5 < placeholders < 20


def test_names_leave_no_half_of_a_name() -> None:
    for seed in range(30):
        changed = AUGMENTATIONS["names"]("在永辉超市买的牛奶", random.Random(seed))
        match = re.fullmatch("在(.+)买的牛奶", changed)
        assert match is not None
        assert match[1] != "永辉超市"
        assert not match[1].endswith("市")


@pytest.mark.parametrize("text", ["这锅菜做成都不行", "一家大连锁店", "煮小米粥", "苹果烂了", "水滴滴答答漏"])
def test_names_leave_common_words_alone(text: str) -> None:
    assert AUGMENTATIONS["names"](text, rng()) == text


def test_typos_table_is_sound() -> None:
    assert len(module._TYPOS) >= 120
    for word, wrong in module._TYPOS.items():
        assert word not in wrong
        assert all(len(word) == len(other) for other in wrong)
        assert not set("不没未无非别") & set("".join(wrong)) - set(word)


def test_typos_are_few() -> None:
    text = "客服态度差，退款也不处理，已经联系三次，快递也没收到，质量太差，要求赔偿。" * 4
    for seed in range(20):
        changed = AUGMENTATIONS["typos"](text, random.Random(seed))
        assert 1 <= sum(old != new for old, new in zip(text, changed, strict=True)) <= 8


def test_augment_rate_decides_how_many_texts_change() -> None:
    source = random.Random(1)
    assert all(augment(TEXTS[0], source, rate=0.0) == TEXTS[0] for _ in range(200))
    assert all(augment(TEXTS[0], source, rate=1.0) != TEXTS[0] for _ in range(200))
    changed = sum(augment(TEXTS[0], source) != TEXTS[0] for _ in range(2000))
    assert 0.26 < changed / 2000 < 0.34


def test_augment_mostly_survives_normalisation() -> None:
    source, before = random.Random(2), normalise(TEXTS[0]).text
    survived = sum(normalise(augment(TEXTS[0], source, rate=1.0)).text != before for _ in range(500))
    assert survived / 500 > 0.97


def test_augment_never_frames_a_text_twice() -> None:
    source = random.Random(3)
    for _ in range(500):
        changed = augment(TEXTS[1], source, rate=1.0)
        assert not (module._FRAMED.match(changed) and module._GREETED.search(changed))


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_augment_refuses_a_rate_that_is_no_probability(rate: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        augment("坏了", rng(), rate=rate)
