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
        "用户于今日来电，反映",
        "尊敬的酒店经理：",
        "客户致电客服热线称，",
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
        # a text of little else than formulas
        "您好，在吗？",
        "来电人称，退款",
        "谢谢，辛苦了！",
        "您好，麻烦您了，谢谢。",
        # facts, demands, numbers, names, repetition, what the other side said: each was cut off once
        "客服只会回复：抱歉",
        "打了五次电话，客服说：已登记",
        "一个月了退款状态还是：已登记",
        "撞到人了快递员只说了句 不好意思",
        "客服只回了两个字，抱歉",
        "他们挂电话前还说 祝您生活愉快",
        "店员从头到尾没有一句抱歉、谢谢",
        "衣服寄回去半个月不退款，门店已收到",
        "我要求退款一千元，经理已答复",
        "工单催了三次没有处理，部门已受理",
        "骗子让我转账两万，已转",
        "个人信息被泄露了，要求信息保密",
        "客服来电称，只能退一半的钱给我",
        "客服来电，让我撤销投诉才给退款",
        "平台来电告知，账号永久封禁不能解",
        "我行客服来电表示，逾期就起诉我",
        "来电客服，一问三不知还挂电话",
        "客户服务中心告知，过了保修期要自费",
        "会员客服说，已经过了退款的时间",
        "用户多次致电客服客服说，系统升级到下周",
        "客服小姐反馈，房间已经住满了",
        "商户称，已经发货，但是我查不到物流",
        "寄件人称，早就寄出来了东西还没到",
        "业主称，墙面有划痕，押金不退给我",
        "买家表示，没收到货，平台就直接退款给他了",
        "乘客说，我绕路，平台就扣了我的分",
        "客户来电说明自己没有办过这个业务",
        "客户来电诉求退还违约金三百元",
        "客户王女士称重时发现少了半斤",
        "用户李女士说明书丢了要求补寄",
        "客户姓名反馈错误，要求更正发票",
        "业主反映多次无果，物业就是不修",
        "来电投诉过三次都没有解决问题",
        "用户电话反馈打不通，一直占线",
        "12800.00元的冰箱用了三天就坏了",
        "【100】元话费充值了没有到账",
        "110：20到的站一直等到十二点",
        "10086 乱扣我的话费要求退还",
        "20240318 购买的空调已经不制冷",
        "10000，充进游戏里面没有到账",
        "13812345678，这个号码无故被停机",
        "工号1023，态度极差还挂我电话",
        "来电号码13800000000，一天打我十几次",
        "Hi-Fi耳机一边没有声音要求换新",
        "Hello Kitty 的杯子到手就是碎的",
        "哈啰，乱扣我骑行费还不给退",
        "亲-子乐园的滑梯把孩子划伤了",
        "你好我的快递 到现在还没有送到家里",
        "你好我有个快递，显示签收我没有收到",
        "您好我的会员，怎么突然没有了",
        "您好你们的骑手，把我电动车撞坏了",
        "你好我找人工，问了半天都是机器人",
        "你好我想找经理，店员骂人没有人管",
        "您好医生说得不好，把我病情说错了",
        "我的快递还在吗？都一个星期了没送到",
        "公司还在吗？是不是跑路了钱不退",
        "麻烦帮我找一下快递，三天没有更新了",
        "请跟快递员说一下，不要放驿站送上门",
        "跟物业反映一下，没有一个人来看过",
        "麻烦你们客服耐心一点，不要挂我电话",
        "反馈一下骑手的问题，提前点送达还骂人",
        "打扰我休息，楼上天天半夜搬东西",
        "打扰邻居休息，广场舞跳到半夜十一点",
        "工作时间打扰我，贷款推销没完没了",
        "周末还来打扰，推销电话打个不停",
        "推销电话一天十几个，非常打扰",
        "一天十几个催收电话，打扰工作",
        "说了不要再打电话，客服再次打扰",
        "养的狗天天乱叫，给邻居添麻烦",
        "孩子碰到这种插座，就麻烦了",
        "孩子在学校被欺负，麻烦老师多关注一下",
        "没有横屏模式很难用，拜托开发支持一下",
        "护士扎针扎了五次，拜托医护人员耐心",
        "邮件发了五封没人回，望回复",
        "客户多次投诉，问题至今没有解决",
        "用户再次投诉，冰箱还是不制冷",
        "消费者向12315投诉举报，商家仍不退款",
        "多次来信，从来没有收到任何答复",
        "今天来电，明天又停电，一周停了四次",
        "通话记录，被删除了查不到是谁打的",
        "电话回访记录：没有，根本没人打过电话",
        "投诉记录：被你们私自关闭了三次",
        "【投诉】无门，找谁都不管",
    ],
)
def test_the_matter_itself_is_read_whole(text: str) -> None:
    assert read(text).text == normalise(text).text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("来电称其他订单都发货了就差我的", "其他订单都发货了就差我的"),
        ("客户来电称其中一件衣服有破洞", "其中一件衣服有破洞"),
        ("来电人称其实没有收到货也没有退款", "其实没有收到货也没有退款"),
        ("您好，反映三年了没有人管这件事", "反映三年了没有人管这件事"),
        ("您好，没有收到快递，显示已经签收了", "没有收到快递,显示已经签收了"),
        ("来电人称，被收了两次停车费要求退还", "被收了两次停车费要求退还"),
        ("礼盒里少了一罐茶叶，麻烦补发，谢谢！", "礼盒里少了一罐茶叶,麻烦补发"),
        ("退款申请三天没人理，请尽快回复，谢谢", "退款申请三天没人理,请尽快回复"),
    ],
)
def test_only_the_formula_goes_and_no_half_word_with_it(text: str, kept: str) -> None:
    assert read(text).text == kept


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
