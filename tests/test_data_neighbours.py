from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import neighbours
from data.neighbours import SIMILARITY, fold, jaccard, near_duplicate_groups, shingles

THINGS = (
    "冰箱",
    "洗衣机",
    "快递",
    "外卖",
    "房间",
    "手机",
    "课程",
    "押金",
    "空调",
    "发票",
    "门锁",
    "电梯",
    "行李",
    "优惠券",
)
EVENTS = (
    "坏了三次",
    "没有送到",
    "一直漏水",
    "多收了钱",
    "没人处理",
    "发错颜色",
    "不肯退款",
    "半夜很吵",
    "过期发霉",
    "联系不上",
)
WISHES = ("要求退款", "尽快处理", "给个说法", "希望改进", "再也不来", "赔我损失", "换一个新的", "请回电话")


def made_up(number: int, seed: int = 1) -> list[str]:
    generator = random.Random(seed)
    texts = []
    for _ in range(number):
        parts = [generator.choice(THINGS) + generator.choice(EVENTS) for _ in range(generator.randint(1, 6))]
        texts.append("，".join([*parts, generator.choice(WISHES)]) + "。")
    return texts


def test_neighbours_fold_drops_what_copies_differ_in() -> None:
    assert fold("我买了 3 件，共 1,299 元！") == fold("我買了12件,共８８８元")
    assert fold("！！！") == "!!!"
    assert fold("退款") != fold("退货")


def test_neighbours_finds_copies() -> None:
    texts = [
        "我在店里买的电饭煲用了三天就冒烟，要求退款300元！",
        "房间隔音太差，一晚上没睡。",
        "我在店裡買的電飯煲用了三天就冒煙,要求退款 4500 元",
        "【转】我在店里买的电饭煲用了三天就冒烟，要求退款300元！！！",
        "房间隔音太差一晚上没睡",
    ]
    assert near_duplicate_groups(texts) == [0, 1, 0, 0, 1]


def test_neighbours_of_nothing_and_of_short_texts() -> None:
    assert near_duplicate_groups([]) == []
    assert near_duplicate_groups(["差", "差！", "好", "😡", "😡", "🎉", "", ""]) == [0, 0, 2, 3, 3, 5, 6, 6]


def brute_force(texts: list[str]) -> list[int]:
    grams = [shingles(fold(text)) for text in texts]
    groups = list(range(len(texts)))
    for one in range(len(texts)):
        for other in range(one):
            if jaccard(grams[one], grams[other]) >= SIMILARITY and groups[one] != groups[other]:
                low, high = sorted((groups[one], groups[other]))
                groups = [low if group == high else group for group in groups]
    return groups


def test_neighbours_agree_with_comparing_all_pairs() -> None:
    generator = random.Random(5)
    texts = made_up(150)
    for text in texts[:100]:
        place = generator.randrange(len(text))
        texts.append(
            text[:place] + generator.choice(["", "真的", "很", "，"]) + text[place + generator.randint(0, 2) :]
        )
    generator.shuffle(texts)
    groups = near_duplicate_groups(texts)
    assert len(set(groups)) < len(texts) - 30
    assert groups == brute_force(texts)


@given(st.lists(st.text(alphabet="退款慢不好,1 ", max_size=12), max_size=25))
@settings(max_examples=40, deadline=None)
def test_neighbours_groups_are_named_by_their_first(texts: list[str]) -> None:
    groups = near_duplicate_groups(texts)
    assert groups == near_duplicate_groups(texts)
    for index, group in enumerate(groups):
        assert group <= index
        assert groups[group] == group
        assert [groups[i] for i, text in enumerate(texts) if text == texts[index]] == [group] * texts.count(
            texts[index]
        )


def test_neighbours_keep_little_of_each_text() -> None:
    texts = made_up(3000, seed=2)
    near_duplicate_groups(texts[:10])
    tracemalloc.start()
    try:
        near_duplicate_groups(texts)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Sets of all n-grams and a full LSH index take above 20 kB a text.
    bounded = neighbours._KEPT_SETS * 12_000
    assert (peak - bounded) / len(texts) < 6_000


@pytest.mark.parametrize("kind", ["different", "one template"])
def test_neighbours_stay_fast(kind: str) -> None:
    texts = made_up(2000)
    if kind == "one template":
        head = (
            "您好，您反映的门店服务问题已经收到，正在转交相关部门核实处理，请您耐心等待我们的回复，多谢您的理解与支持"
        )
        texts = [head + text[:2] + str(number) for number, text in enumerate(texts)]
    start = time.process_time()
    near_duplicate_groups(texts)
    assert time.process_time() - start < 10
