from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertModel, RobertaConfig, RobertaModel

from model.errors import InvalidInput
from model.tokeniser import Tokeniser
from tests.tiny import keyword_rows
from training import adapt as module
from training.adapt import IGNORED, AdaptSettings, MaskedLanguageModel, adapt, encode, mask_words, read_texts


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_read_texts_reads_plain_and_packed_files_each_text_once(tmp_path: Path) -> None:
    plain = lines(tmp_path / "a.jsonl", {"text": "灯坏了"}, {"text": " "}, {"text": "没人管", "id": 3})
    packed = tmp_path / "b.jsonl.gz"
    with gzip.open(packed, "wt", encoding="utf-8") as handle:
        handle.write('{"text": "没人管"}\n\n{"text": "等了三天"}\n')
    assert read_texts([plain, packed]) == ["灯坏了", "没人管", "等了三天"]


@pytest.mark.parametrize("line", ['{"txt": "a"}', '["a"]', '"a"', '{"text": 3}', '{"text": null}', "{"])
def test_read_texts_names_the_wrong_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "灯坏了"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"a\.jsonl:2: expected a JSON object"):
        read_texts([path])


def test_read_texts_names_files_it_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_texts([tmp_path / "none.jsonl"])
    (tmp_path / "a.jsonl").write_bytes("灯坏了".encode("gb18030"))
    with pytest.raises(InvalidInput, match="UTF-8"):
        read_texts([tmp_path / "a.jsonl"])
    (tmp_path / "a.jsonl.gz").write_bytes(b"not packed")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_texts([tmp_path / "a.jsonl.gz"])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 5000)[:-20])
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_texts([tmp_path / "b.jsonl.gz"])


def test_encode_gives_each_token_its_word(tiny_base: Path) -> None:
    tokeniser = Tokeniser(AutoTokenizer.from_pretrained(tiny_base).backend_tokenizer, 64)
    ids, words = encode(tokeniser, "客服态度很差，要求退款。")
    assert len(ids) == len(words)
    assert words[0] == words[-1] == -1
    inside = words[1:-1]
    assert inside == sorted(inside)
    assert min(inside) >= 0


def test_mask_words_masks_whole_words_at_the_rate() -> None:
    ids, words = list(range(100, 142)), [-1, *(i // 2 for i in range(40)), -1]
    rng, masked, kept, changed = random.Random(0), 0, 0, 0
    for _ in range(300):
        inputs, labels = mask_words(ids, words, 0.25, 4, 10**6, rng)
        chosen = {w for w, label in zip(words, labels, strict=True) if label != IGNORED}
        assert len(chosen) == 5
        for old, new, label, word in zip(ids, inputs, labels, words, strict=True):
            assert (label == old) if word in chosen else (label == IGNORED and new == old)
            if word in chosen:
                masked, kept, changed = masked + (new == 4), kept + (new == old), changed + (new not in (4, old))
    total = masked + kept + changed
    assert masked / total == pytest.approx(0.8, abs=0.03)
    assert kept / total == pytest.approx(0.1, abs=0.03)


def test_mask_words_leaves_a_text_without_words() -> None:
    assert mask_words([0, 5, 2], [-1, -1, -1], 0.5, 4, 10, random.Random(0)) == ([0, 5, 2], [IGNORED] * 3)


def test_masked_language_model_equals_the_plain_one(tiny_base: Path) -> None:
    bert, _ = module._load(str(tiny_base))
    bert.eval()
    ids = torch.randint(5, 500, (3, 12), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[:, ::2] = IGNORED
    mask = torch.ones_like(ids)
    with torch.no_grad():
        plain = bert(input_ids=ids, attention_mask=mask, labels=labels).loss
        assert float(MaskedLanguageModel(bert)(ids, mask, labels)) == pytest.approx(float(plain), rel=1e-5)


def test_adapt_refuses_other_encoders_and_too_little_text(tiny_base: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="too few"):
        adapt(str(tiny_base), ["灯坏了", "\u200b"], tmp_path / "out", AdaptSettings(max_tokens=32))
    with pytest.raises(InvalidInput, match="reads at most 96 tokens"):
        adapt(str(tiny_base), ["灯坏了", "没人管"], tmp_path / "out", AdaptSettings(max_tokens=200))
    config = RobertaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    RobertaModel(config).save_pretrained(tmp_path / "other")
    with pytest.raises(InvalidInput, match="only BERT"):
        adapt(str(tmp_path / "other"), ["灯坏了", "没人管"], tmp_path / "out", AdaptSettings())
    with pytest.raises(InvalidInput, match="there is no such folder"):
        adapt(str(tmp_path / "none" / "at" / "all"), ["灯坏了", "没人管"], tmp_path / "out", AdaptSettings())
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "config.json").write_bytes((tiny_base / "config.json").read_bytes())
    with pytest.raises(InvalidInput, match="no BERT encoder"):
        adapt(str(tmp_path / "part"), ["灯坏了", "没人管"], tmp_path / "out", AdaptSettings())
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_adapt_learns_and_saves_an_encoder(tiny_base: Path, taxonomy, tmp_path: Path) -> None:
    texts = [row.text for row in keyword_rows(taxonomy, 150)]
    settings = AdaptSettings(epochs=20, learning_rate=2e-3, batch_tokens=512, max_tokens=64)
    adapt(str(tiny_base), texts, tmp_path, settings)
    reports = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert reports[-1]["step"] == reports[-1]["of"]
    assert reports[-1]["loss"] < 0.8 * reports[0]["loss"]
    old, new = BertModel.from_pretrained(tiny_base).state_dict(), BertModel.from_pretrained(tmp_path).state_dict()
    assert old["embeddings.word_embeddings.weight"].shape == new["embeddings.word_embeddings.weight"].shape
    assert not torch.equal(old["encoder.layer.0.output.dense.weight"], new["encoder.layer.0.output.dense.weight"])
    assert AutoTokenizer.from_pretrained(tmp_path).mask_token == "<mask>"
