from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from model.errors import InvalidArtefact
from model.text import normalise
from model.tokeniser import Tokeniser


def test_encode_frames_the_text_and_tells_where_tokens_came_from(tokeniser: Tokeniser) -> None:
    text = "退款 100元!"
    tokens = tokeniser.encode(text)
    assert (tokens.ids[0], tokens.ids[-1]) == (0, 2)
    assert len(tokens.ids) == tokens.used + 2
    assert tokens.total == tokens.used
    assert not tokens.truncated
    assert tokens.unknown == 0
    offsets = tokens.offsets()
    assert len(offsets) == tokens.used
    assert {text[start:end] for start, end in offsets} >= set("退款100元!")


def test_encode_keeps_head_and_tail_of_a_long_text(tokeniser: Tokeniser) -> None:
    text = "头" * 100 + "尾" * 100
    tokens = tokeniser.encode(text)
    assert len(tokens.ids) == tokeniser.max_tokens == tokens.used + 2
    assert tokens.truncated
    assert tokens.total == 201  # and the mark of the beginning
    read = [text[start:end] for start, end in tokens.offsets()]
    assert read.count("头") == 31  # the mark of the beginning spans the first character
    assert read.count("尾") == 31
    assert tokens.offsets()[-1] == (199, 200)


def test_encode_counts_unknown_pieces(tokeniser: Tokeniser) -> None:
    assert tokeniser.encode("退款").unknown == 0
    assert tokeniser.encode("退鱻款").unknown == 1


@pytest.mark.parametrize("special", ["<s>", "</s>", "<pad>", "<unk>"])
def test_encode_takes_typed_special_tokens_for_text(tokeniser: Tokeniser, special: str) -> None:
    text = f"退{special}款"
    tokens = tokeniser.encode(text)
    assert not {0, 1, 2, 3} & set(tokens.ids[1:-1])
    assert tokens.offsets()[-1] == (len(text) - 1, len(text))


def test_the_files_own_truncation_padding_and_frame_are_off(small_tokenizer_file: Path, tmp_path: Path) -> None:
    own = Tokenizer.from_file(str(small_tokenizer_file))
    own.enable_truncation(4)
    own.enable_padding(length=50)
    own.save(str(tmp_path / "tokenizer.json"))
    text = "退款退款退款"
    expected = Tokeniser.load(small_tokenizer_file, 64).encode(text).ids
    assert Tokeniser.load(tmp_path / "tokenizer.json", 64).encode(text).ids == expected


def test_load_names_a_file_that_is_no_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(InvalidArtefact, match=r"tokenizer\.json: not a tokenizers file"):
        Tokeniser.load(path, 64)
    with pytest.raises(InvalidArtefact, match="not a tokenizers file"):
        Tokeniser.load(tmp_path / "absent.json", 64)


def test_a_vocabulary_without_frame_is_refused() -> None:
    with pytest.raises(InvalidArtefact, match="lacks <s> or </s>"):
        Tokeniser(Tokenizer(models.Unigram([("<unk>", 0.0)], unk_id=0, byte_fallback=False)), 64)


@given(st.text(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_encode_takes_any_normalised_text(tokeniser: Tokeniser, source: str) -> None:
    text = normalise(source).text
    tokens = tokeniser.encode(text)
    assert len(tokens.ids) <= tokeniser.max_tokens
    assert all(0 <= start <= end <= len(text) for start, end in tokens.offsets())
    assert tokens.unknown <= tokens.used <= tokens.total
