from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.text import MAX_JOINED, MAX_PUNCTUATION_RUN, han_count, han_share, head_and_tail, normalise, simplify

# Any code point, lone surrogates too, with the troublesome ones often.
TROUBLE = (
    "\u200b\u200d\ufe0f\u0301\u0308\u0338\uff9e\u3099\ud83d\ude00\u00b4\u3000\t\n\r\x00\x7f\u00ad\ufeff"
    "ｶ㎏ﷺ①Ａ！!!。…臺灣発薴e=<"
)
texts = st.text(st.one_of(st.sampled_from(TROUBLE), st.characters(exclude_categories=())), max_size=60)


@given(texts)
def test_normalise_keeps_its_promises_for_any_string(source: str) -> None:
    found = normalise(source)
    assert len(found.origin) == len(found.text)
    assert list(found.origin) == sorted(found.origin)
    assert all(0 <= place < len(source) for place in found.origin)
    assert found.text == found.text.strip(" ")
    assert "  " not in found.text
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in found.text)
    found.text.encode()


@given(texts)
def test_normalise_twice_changes_nothing(source: str) -> None:
    once = normalise(source).text
    assert normalise(once).text == once


@given(texts, st.data())
def test_source_span_lies_in_the_source_and_grows_with_the_span(source: str, data: st.DataObject) -> None:
    found = normalise(source)
    if found.text:
        start = data.draw(st.integers(0, len(found.text) - 1))
        end = data.draw(st.integers(start + 1, len(found.text)))
        begin, stop = found.source_span(start, end)
        assert 0 <= begin < stop <= len(source)
        whole = found.source_span(0, len(found.text))
        assert whole[0] <= begin
        assert stop <= whole[1]
    with pytest.raises(ValueError, match="lies outside"):
        found.source_span(0, len(found.text) + 1)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("ＡＢＣ１２３（元）", "ABC123(元)"),
        ("客\u200b服\ufeff不\u00ad理", "客服不理"),
        ("  退\u3000\t款\n\n吧 ", "退 款 吧"),
        ("太差了！！！！！！", "太差了!!!"),
        ("。。。。。。", "。。。"),
        ("……", "..."),
        ("哈哈哈哈哈哈", "哈哈哈哈哈哈"),
        ("退貨後還沒收到錢", "退货后还没收到钱"),
        ("坏\ud83d了", "坏\ufffd了"),
        ("cafe\u0301", "café"),
        ("ｶﾞ", "ガ"),
        ("👨‍👩‍👧❤️", "👨👩👧❤"),
        ("", ""),
        ("\u200b\n", ""),
    ],
)
def test_normalise_examples(source: str, expected: str) -> None:
    assert normalise(source).text == expected


@pytest.mark.parametrize(
    ("source", "word", "expected"),
    [
        ("快\u200b递 丢了", "快递", "快\u200b递"),
        ("快递\u200b 丢了", "快递", "快递"),
        ("去cafe\u0301了", "café", "cafe\u0301"),
        ("一e\u200b\u0301二", "é", "e\u200b\u0301"),
        ("共10㎏重", "kg", "㎏"),
        ("共10㎏重", "k", "㎏"),
        ("要退貨！！！！！  ", "退货!!!", "退貨！！！"),
        ("店員罵人", "店员", "店員"),
        ("ｶﾞ坏", "ガ", "ｶﾞ"),
    ],
)
def test_source_span_finds_the_callers_own_words(source: str, word: str, expected: str) -> None:
    found = normalise(source)
    start = found.text.index(word)
    begin, stop = found.source_span(start, start + len(word))
    assert source[begin:stop] == expected


@pytest.mark.parametrize("joined", ["\u0315\u0300", "\u0344", "\u200b", "\u0301\u200d"])
def test_marks_piled_on_one_character_cost_and_leave_little(joined: str) -> None:
    source = "坏" + joined * 40_000 + "了"
    seen = normalise(source)  # took minutes when all of them were sorted
    assert len(seen.text) <= 2 + MAX_JOINED
    assert seen.text[0] == "坏"
    assert seen.text[-1] == "了"
    assert normalise(seen.text).text == seen.text
    assert seen.source_span(len(seen.text) - 1, len(seen.text)) == (len(source) - 1, len(source))


def test_punctuation_runs_are_cut_whatever_their_width() -> None:
    assert normalise("差?？?？?").text == "差" + "?" * MAX_PUNCTUATION_RUN


@given(st.text(max_size=40))
def test_simplify_keeps_the_length(text: str) -> None:
    assert len(simplify(text)) == len(text)


def test_han_share_and_count() -> None:
    assert han_share("退款abcd") == pytest.approx(2 / 6)
    assert han_share("12345 !!") == 0
    assert han_count("退款 refund 𠮷") == 3


@given(st.lists(st.integers()), st.integers(0, 20))
def test_head_and_tail_keeps_both_ends(tokens: list[int], limit: int) -> None:
    kept = head_and_tail(tokens, limit)
    assert len(kept) == min(limit, len(tokens))
    head = kept[: limit // 2]
    assert head == tokens[: len(head)]
    tail = kept[limit // 2 :]
    assert tail == tokens[len(tokens) - len(tail) :]
