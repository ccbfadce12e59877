from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from model.engine import HEADS
from model.network import build
from model.taxonomy import Taxonomy
from model.tokeniser import Tokeniser
from tests.tiny import keyword_rows
from training.fit import Collator
from training.predict import predict
from training.reading import token_ids
from training.targets import labelled_table


@pytest.fixture
def network_and_tokeniser(tiny_base: Path, taxonomy: Taxonomy):
    network = build(str(tiny_base), taxonomy)
    torch.manual_seed(0)
    for parameter in (network.queries, network.weights):
        torch.nn.init.normal_(parameter)
    return network, Tokeniser(AutoTokenizer.from_pretrained(tiny_base).backend_tokenizer, 64)


TEXTS = ["灯坏了", "客服一直不接电话，" * 20, "谢谢", "东西是好的，就是太慢", "说好三天到，等了九天还没有人管"]


def test_predict_equals_one_text_at_a_time(network_and_tokeniser) -> None:
    network, tokeniser = network_and_tokeniser
    together = predict(network, tokeniser, TEXTS, budget=100)
    for row, text in enumerate(TEXTS):
        alone = predict(network, tokeniser, [text])
        plain = network(torch.tensor([token_ids(tokeniser, text)]))
        for head in HEADS:
            assert np.allclose(getattr(together, head)[row], getattr(alone, head)[0], atol=1e-4)
            assert np.allclose(getattr(plain, head)[0].detach(), getattr(alone, head)[0], atol=1e-4)


def test_predict_does_not_hang_on_the_budget_nor_on_training_mode(network_and_tokeniser) -> None:
    network, tokeniser = network_and_tokeniser
    network.train()
    wide, narrow = predict(network, tokeniser, TEXTS), predict(network, tokeniser, TEXTS, budget=1)
    assert all(np.allclose(getattr(wide, head), getattr(narrow, head), atol=1e-4) for head in HEADS)


def test_predict_bf16_is_close(network_and_tokeniser) -> None:
    network, tokeniser = network_and_tokeniser
    exact, quick = predict(network, tokeniser, TEXTS), predict(network, tokeniser, TEXTS, precision="bf16")
    assert np.corrcoef(exact.causes.ravel(), quick.causes.ravel())[0, 1] > 0.999


def test_predict_of_nothing(network_and_tokeniser, taxonomy: Taxonomy) -> None:
    found = predict(*network_and_tokeniser, [])
    assert found.causes.shape == (0, len(taxonomy.causes))


def test_collator_pads_and_masks(network_and_tokeniser, taxonomy: Taxonomy) -> None:
    _, tokeniser = network_and_tokeniser
    rows = keyword_rows(taxonomy, 6)
    table = labelled_table(rows, taxonomy, {})
    batch = Collator(tokeniser, 1, 0.0, 0)([table[i] for i in range(6)])
    for row, ids, mask in zip(rows, batch["input_ids"], batch["attention_mask"], strict=True):
        wanted = list(token_ids(tokeniser, row.text))
        assert ids[: len(wanted)].tolist() == wanted
        assert mask.sum() == len(wanted)
        assert (ids[len(wanted) :] == 1).all()
        assert not mask[len(wanted) :].any()
    assert batch["causes"].shape == (6, len(taxonomy.causes))
    assert batch["weight"].tolist() == [1.0] * 6


def test_collator_rewrites_texts_at_its_rate(network_and_tokeniser, taxonomy: Taxonomy) -> None:
    _, tokeniser = network_and_tokeniser
    rows = [labelled_table(keyword_rows(taxonomy, 20), taxonomy, {})[i] for i in range(20)]
    collate = Collator(tokeniser, 1, 1.0, 0)
    assert not torch.equal(collate(rows)["input_ids"][:, :8], collate(rows)["input_ids"][:, :8])


def test_collator_keeps_both_wordings_of_a_rewritten_row(network_and_tokeniser, taxonomy: Taxonomy) -> None:
    _, tokeniser = network_and_tokeniser
    table = labelled_table(keyword_rows(taxonomy, 20), taxonomy, {})
    rows = [table[i] for i in range(20)]
    batch = Collator(tokeniser, 1, 0.5, 0, paired=True)(rows)
    pairs = batch["pairs"].tolist()
    assert 0 < len(pairs) < 20
    assert [second for _, second in pairs] == list(range(20, len(batch["weight"])))
    for first, second in pairs:
        plain = token_ids(tokeniser, rows[first]["text"])
        assert batch["input_ids"][second][: len(plain)].tolist() == list(plain)
        assert batch["input_ids"][first].tolist() != batch["input_ids"][second].tolist()
        assert torch.equal(batch["causes"][first], batch["causes"][second])
        assert batch["weight"][first] == batch["weight"][second] == 0.5
    assert batch["weight"].sum() == 20
    nothing = Collator(tokeniser, 1, 0.0, 0, paired=True)(rows)
    assert nothing["pairs"].shape == (0, 2)
