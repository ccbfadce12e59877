from __future__ import annotations

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.encodings import decode, detect, plausibility
from model.errors import InvalidInput

SIMPLIFIED = {
    "short": "退款慢",
    "line": "空调装了三天就漏水，师傅说下周才来。",
    "table": "编号,投诉内容,原因\n1,买的鞋子开胶了，客服不理人,质量缺陷\n2,多收了我两次钱,金额差错\n",
    "long": "我上个月在你们店里买了一台洗衣机，说好三天内送货上门，结果等了两个星期还没有消息。" * 60,
}
TRADITIONAL = {
    "short": "退款太慢",
    "line": "冷氣裝了三天就漏水，師傅說下週才來。",
    "table": "編號,投訴內容,原因\n1,買的鞋子開膠了，客服不理人,質量\n2,多收了我兩次錢,金額\n",
    "long": "我上個月在你們店裡買了一台洗衣機，說好三天內送貨上門，結果等了兩個星期還沒有消息。" * 60,
}
CASES = [
    *(
        (text, encoding)
        for text in SIMPLIFIED.values()
        for encoding in ("gb18030", "gbk", "gb2312", "utf-16-le", "utf-16-be")
    ),
    *(
        (text, encoding)
        for text in TRADITIONAL.values()
        for encoding in ("gb18030", "gbk", "big5", "cp950", "utf-16-le", "utf-16-be")
    ),
    *((text, "utf-8") for texts in (SIMPLIFIED, TRADITIONAL) for text in texts.values()),
]


@pytest.mark.parametrize(("text", "encoding"), CASES)
def test_encodings_finds(text: str, encoding: str) -> None:
    assert detect(text.encode(encoding)).text == text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_encodings_trusts_the_mark(encoding: str) -> None:
    found = detect("门锁坏了".encode(encoding))
    assert (found.text, found.encoding) == ("门锁坏了", encoding)


def test_encodings_finds_big_endian_mark() -> None:
    assert detect(codecs.BOM_UTF16_BE + "门锁坏了".encode("utf-16-be")).text == "门锁坏了"


def test_encodings_finds_hong_kong_characters() -> None:
    text = "呢部電話啱啱買咗三日就壞咗，啲人又唔理我，點算好"
    assert detect(text.encode("big5hkscs")).text == text


def test_encodings_emoji_in_gb18030_survive() -> None:
    text = "快递又丢了😡我要退款，客服还不理人"
    assert detect(text.encode("gb18030")).text == text


@given(
    st.lists(st.sampled_from(SIMPLIFIED["long"][:42] + SIMPLIFIED["table"][3:]), min_size=8, max_size=60).map("".join)
)
@settings(max_examples=60, deadline=None)
def test_encodings_finds_gb18030_in_any_order_of_common_characters(text: str) -> None:
    assert detect(text.encode("gb18030")).text == text


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_encodings_valid_utf8_is_read_as_such(text: str) -> None:
    data = text.encode("utf-8", "ignore")
    if b"\x00" not in data and not data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        assert detect(data).encoding == "utf-8"


def test_encodings_ascii_in_utf16_without_mark() -> None:
    assert detect("id,text\n1,refund\n".encode("utf-16-le")).text == "id,text\n1,refund\n"


def test_encodings_broken_utf8_says_where() -> None:
    data = ("第一行没问题\n" * 40).encode() + b"\xe9\x97\xff" + "最后一行".encode()
    with pytest.raises(InvalidInput, match=r"a\.csv: .*not UTF-8 at line 41, byte .*--encoding"):
        detect(data, "a.csv")


def test_encodings_mark_with_broken_content_says_where() -> None:
    with pytest.raises(InvalidInput, match=r"mark of utf-8-sig .* line 2"):
        detect(codecs.BOM_UTF8 + "好\n".encode() + b"\xff\xff")


def test_encodings_binary_is_no_text() -> None:
    with pytest.raises(InvalidInput, match="NUL bytes"):
        detect(bytes(range(256)) * 4 + bytes(2000))


def test_encodings_single_nul_in_utf8_is_left_to_the_rows() -> None:
    text = "id,text\n1,门锁坏了\x00\n2,灯也坏了，没人来修\n"
    assert detect(text.encode()).text == text


@pytest.mark.parametrize("name", ["gbk", "GB2312", "cp936", "gb18030"])
def test_encodings_told_names_of_gb(name: str) -> None:
    assert decode("门锁坏了䶮".encode("gb18030"), name).text == "门锁坏了䶮"


def test_encodings_told_utf8_drops_the_mark() -> None:
    assert decode("门锁".encode("utf-8-sig"), "utf-8").text == "门锁"


@pytest.mark.parametrize("name", ["klingon", "base64", "\x00"])
def test_encodings_told_unknown(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"unknown encoding|no text encoding"):
        decode(b"abc", name)


def test_encodings_told_wrong_and_unreadable() -> None:
    with pytest.raises(InvalidInput, match="cannot be read as utf-8 at line 1, byte 0"):
        decode(SIMPLIFIED["line"].encode("gbk"), "utf-8")


def test_encodings_told_wrong_but_readable() -> None:
    with pytest.raises(InvalidInput, match="gives no Chinese text as gb18030; it looks like big5"):
        decode(TRADITIONAL["long"].encode("big5"), "gb18030")


def test_encodings_plausibility_orders_readings() -> None:
    data = TRADITIONAL["line"].encode("big5")
    assert plausibility(data.decode("big5")) > 0.4 > 0 > plausibility(data.decode("gb18030"))
