"""What stands round a complaint is not read; what is part of it always is."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import formulas
from model.formulas import MAX_CLAUSES, MIN_REMAINING, read
from model.text import han_count, normalise

MATTER = "洗衣机脱水的时候跳得满屋跑,请派人上门检修"


@pytest.mark.parametrize(
    "opening",
    [
        "来电人称，",
        "来电人称其",
        "来电人张女士反映：",
        "市民反映",
        "市民来电反映，",
        "接市民来电，",
        "客户王某来电投诉：",
        "客户致电客服热线表示，",
        "用户于今日再次来电，反映",
        "【投诉内容】",
        "【12345热线】市民来电称：",
        "诉求内容：",
        "工单编号：20260318001，来电人表示，",
        "联系电话138****0000，客户称，",
        "坐席记录：",
        "您好，",
        "你好，打扰了。",
        "不好意思打扰您一下，",
        "客服小姐姐好，",
        "尊敬的领导：您好！",
        "麻烦您看一下，",
        "在吗？",
        "亲~",
        "各位领导辛苦了，",
        "您好！！！😊",
    ],
)
def test_openings_are_not_read(opening: str) -> None:
    assert read(f"{opening}{MATTER}").text == MATTER


@pytest.mark.parametrize(
    "closing",
    [
        "，谢谢。",
        "。谢谢您！",
        "。辛苦了",
        "，麻烦您了🙏",
        "。给你们添麻烦了，多谢多谢。",
        "。祝工作顺利！",
        "。祝各位老师身体健康，万事如意。",
        "。此致 敬礼！",
        "，不胜感激",
        "。打扰了，谢谢，祝您生活愉快。",
        "。已登记。",
        "。以上情况已记录，请知悉。",
        "（来电人口述）",
    ],
)
def test_closings_are_not_read(closing: str) -> None:
    assert read(f"{MATTER}{closing}").text.rstrip("。") == MATTER


@pytest.mark.parametrize(
    "text",
    [
        # what the other side said is the matter itself
        "客服说，退款三天前就到账了，我没收到",
        "客服来电称要换货，结果没有下文",
        "平台称不支持退款，让我找商家",
        "李师傅说，这个零件早就不生产了",
        # words that only begin like a formula
        "用户说明书缺失，找不到配件清单",
        "客户称重不准，缺斤少两太多次了",
        "会员续费没提醒就扣了钱",
        "业主群里骂人，物业不管",
        # a speaker of a chat
        "客户：东西坏了要退货 客服：不能退",
        # a demand, an inquiry, praise
        "洗衣机还在漏水，请尽快处理",
        "麻烦您退款，衣服收到就是破的",
        "市民来电咨询：社保怎么转移到外地",
        "【表扬内容】师傅上门很准时，态度也好",
        # complaints about trouble, and curses
        "退个货跑三趟，真是麻烦",
        "服务麻烦，退货要填一堆表格",
        "占用我时间，电话打了一下午也不解决",
        "空调坏了三天没人修，祝你们早点倒闭",
        "致电客服，一直没有人接听电话",
        # thanks that do not close the text
        "谢谢，维修完成，机器现在运转正常",
    ],
)
def test_the_matter_itself_is_read_whole(text: str) -> None:
    assert read(text).text == normalise(text).text


@pytest.mark.parametrize("text", ["您好，在吗？", "来电人称，退款", "谢谢，辛苦了！", "您好，麻烦您了，谢谢。"])
def test_a_text_of_little_else_is_read_whole(text: str) -> None:
    assert read(text).text == normalise(text).text


def test_places_point_into_the_text_as_it_was_written() -> None:
    source = "您好，來電人稱，冰箱買回來就不製冷，要求退貨！谢谢。"
    found = read(source)
    assert found.text == "冰箱买回来就不制冷,要求退货!"
    start, stop = found.source_span(0, 2)
    assert source[start:stop] == "冰箱"
    assert source[slice(*found.source_span(0, len(found.text)))] == "冰箱買回來就不製冷，要求退貨！"


WORDS = [
    word
    for name, words in vars(formulas).items()
    if isinstance(words, str) and name.startswith("_") and name.strip("_").isupper()
    for word in words.split()
]


@given(st.lists(st.sampled_from([*WORDS, "，", "。", "：", "衣服破了", "😊", "【", "】"]), max_size=30).map("".join))
def test_what_is_read_is_a_piece_of_the_text(source: str) -> None:
    whole, found = normalise(source), read(source)
    begin = whole.text.find(found.text)
    assert begin >= 0
    assert found.source == source
    assert len(found.origin) == len(found.text)
    assert found.text == whole.text or han_count(found.text) >= MIN_REMAINING


@pytest.mark.parametrize("word", ["某", "多", "一下", "客户来电", "反映人", "您", "1", "在不在", "谢"])
@pytest.mark.parametrize("end", ["衣", "，衣服破了要退货"])
def test_no_text_takes_exponential_time(word: str, end: str) -> None:
    # A pattern that tries all ways to cut such a clause into words needs minutes for it.
    started = time.process_time()
    for length in range(20, 200, 10):
        read(word * length + end)
        read("东西坏了不给修，" + word * length + end)
    assert time.process_time() - started < 10


def test_formulas_without_end_are_cut_somewhere() -> None:
    text = "您好，" * (MAX_CLAUSES + 2) + MATTER
    assert read(text).text == "您好," * 2 + MATTER
