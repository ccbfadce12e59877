from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.evidence import MAX_CHARACTERS, MAX_SEGMENTS, MIN_CHARACTERS, clauses, merge, occlude
from model.text import normalise
from model.tokeniser import Tokeniser


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in clauses(text, 0, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("快递弄丢了,客服不理人。要求赔钱!", ["快递弄丢了,", "客服不理人。", "要求赔钱!"]),
        ("等了2.5小时,10:30才到", ["等了2.5小时,", "10:30才到"]),
        ("好吧,退钱给我,可以", ["好吧,退钱给我,可以"]),
        ("他说“马上退款。”可是没有退", ["他说“马上退款。”", "可是没有退"]),
        ("真的很差 再也不来了", ["真的很差 ", "再也不来了"]),
        ("坏", ["坏"]),
    ],
)
def test_clauses_examples(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


sentences = st.text(st.sampled_from("退款坏了客服a1 ,。!;:.”"), min_size=1, max_size=300)


@given(sentences)
def test_clauses_cover_the_text_within_bounds(text: str) -> None:
    pieces = cut(text)
    assert "".join(pieces) == text
    assert all(len(piece) <= MAX_CHARACTERS for piece in pieces)
    assert all(len(piece) >= MIN_CHARACTERS for piece in pieces) or len(pieces) == 1


@given(st.lists(st.lists(st.integers(1, 9), max_size=12), max_size=3), st.integers(1, 8))
def test_merge_covers_the_runs_with_few_segments(lengths: list[list[int]], limit: int) -> None:
    runs, begin = [], 0
    for run in lengths:
        edges = (begin + np.cumsum([0, *run])).tolist()
        runs.append(list(itertools.pairwise(edges)))
        begin = edges[-1] + 5
    merged = merge(runs, limit)
    kept = [run for run in runs if run]
    assert len(merged) <= max(limit, len(kept))
    covered = {place for start, end in merged for place in range(start, end)}
    assert covered == {place for run in kept for start, end in run for place in range(start, end)}
    assert merged == sorted(merged)


def test_occlude_leaves_out_one_clause_a_variant(tokeniser: Tokeniser) -> None:
    text = normalise("快递弄丢了，客服不理人。要求赔钱！")
    plan = occlude(text, tokeniser.encode(text.text), tokeniser)
    whole = tokeniser.encode(text.text).ids
    assert len(plan.variants) == len(plan.segments) == 3
    assert sum(len(whole) - len(variant) for variant in plan.variants) == len(whole) - 2
    assert all((variant[0], variant[-1]) == (0, 2) for variant in plan.variants)


@given(
    st.text(st.sampled_from("退款坏了客服a1 ,。!;:.”😂"), min_size=1, max_size=400).filter(lambda text: text.strip())
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_occlude_never_asks_for_more_than_eight_passes(tokeniser: Tokeniser, source: str) -> None:
    text = normalise(source)
    plan = occlude(text, tokeniser.encode(text.text), tokeniser)
    assert len(plan.variants) <= MAX_SEGMENTS
    assert len(plan.variants) in (0, len(plan.segments))
    for span in plan.spans(1.0, np.linspace(-9, 2, len(plan.variants))):
        assert source[span.start : span.end] == span.text
        assert 0 < span.weight <= 1


def test_occlude_cuts_only_what_was_read(tokeniser: Tokeniser) -> None:
    source = "开头的事情是这样，" * 20 + "最后要求赔钱。"
    text = normalise(source)
    tokens = tokeniser.encode(text.text)
    assert tokens.truncated
    plan = occlude(text, tokens, tokeniser)
    offsets = tokens.offsets()
    unread = {*range(len(text.text))} - {place for start, end in offsets for place in range(start, end)}
    assert unread
    assert not any(place in unread for start, end in plan.segments for place in range(start, end))
    assert plan.segments[-1][1] == len(text.text)


def test_spans_keep_what_carries_the_label(tokeniser: Tokeniser) -> None:
    source = "快递弄丢了，客服不理人。要求赔钱！"
    text = normalise(source)
    plan = occlude(text, tokeniser.encode(text.text), tokeniser)
    spans = plan.spans(2.0, np.array([1.9, 2.5, -1.0]))
    assert [(span.text, round(span.weight, 3)) for span in spans] == [("要求赔钱", 0.968)]
    assert source[spans[0].start : spans[0].end] == "要求赔钱"
    spans = plan.spans(2.0, np.array([0.0, 2.5, 1.0]))
    assert [span.text for span in spans] == ["快递弄丢了", "要求赔钱"]
    assert plan.spans(2.0, np.array([2.0, 2.01, 1.99])) == ()


def test_spans_of_a_single_clause_are_the_whole_text(tokeniser: Tokeniser) -> None:
    text = normalise("  东西壞了！！！！！")
    plan = occlude(text, tokeniser.encode(text.text), tokeniser)
    assert plan.variants == ()
    (span,) = plan.spans(1.0, np.empty(0))
    assert (span.start, span.end, span.text, span.weight) == (2, 6, "东西壞了", 1.0)


def test_spans_can_be_written_as_utf8(tokeniser: Tokeniser) -> None:
    text = normalise("东西\ud83d坏了")
    (span,) = occlude(text, tokeniser.encode(text.text), tokeniser).spans(1.0, np.empty(0))
    assert span.text == "东西\ufffd坏了"
