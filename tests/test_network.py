from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertModel

from model.network import DIMENSIONS, ComplaintModel, build, load
from model.taxonomy import Taxonomy, parse_taxonomy
from tests.tiny import SMALL_TAXONOMY

pytestmark = pytest.mark.usefixtures("one_thread")


def logits(network: ComplaintModel, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    network.eval()
    with torch.no_grad():
        output = network(ids, mask)
    return torch.cat([getattr(output, name) for name in DIMENSIONS], dim=-1)


def randomise(network: ComplaintModel) -> ComplaintModel:
    """Heads as after a training; fresh ones answer zero to everything."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in (network.queries, network.weights, network.biases):
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        network.standardise.running_mean.copy_(torch.randn(network.standardise.running_mean.shape, generator=generator))
    return network


@pytest.fixture
def network(tiny_base: Path, taxonomy: Taxonomy) -> ComplaintModel:
    return randomise(build(str(tiny_base), taxonomy))


def ids(rows: int, tokens: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(5, 500, (rows, tokens), generator=torch.Generator().manual_seed(seed))


def test_network_gives_one_logit_a_label(network: ComplaintModel, taxonomy: Taxonomy) -> None:
    output = network.eval()(ids(3, 12))
    assert output.causes.shape == (3, len(taxonomy.causes))
    assert output.motives.shape == (3, len(taxonomy.motives))
    assert output.severity.shape == (3, taxonomy.levels)
    assert output.style.shape == (3, len(taxonomy.styles))


def test_network_does_not_read_padding(network: ComplaintModel) -> None:
    short, filler = ids(2, 10), ids(2, 7, seed=1)
    mask = torch.cat([torch.ones(2, 10), torch.zeros(2, 7)], dim=1).long()
    padded = logits(network, torch.cat([short, filler], dim=1), mask)
    assert torch.allclose(padded, logits(network, short), atol=1e-4)
    assert torch.allclose(padded, logits(network, short, torch.ones(2, 10).long()), atol=1e-4)


def test_network_answers_each_row_by_itself(network: ComplaintModel) -> None:
    batch = ids(4, 12)
    alone = torch.cat([logits(network, row[None]) for row in batch])
    assert torch.allclose(logits(network, batch), alone, atol=1e-4)


def test_network_pools_evenly_at_the_start_and_by_label_after(network: ComplaintModel) -> None:
    hidden = torch.randn(2, 6, network.queries.shape[1])
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2])
    labelled = network.pool(hidden, mask)
    with torch.no_grad():
        network.queries.zero_()
    even = network.pool(hidden, mask)
    assert torch.allclose(even[1], hidden[1, :4].mean(0).expand_as(even[1]), atol=1e-6)
    query = torch.randn(network.queries.shape[1])
    with torch.no_grad():
        network.queries[0] = query
    weights = torch.softmax(hidden[0] @ query / hidden.shape[-1] ** 0.5, dim=0)
    assert torch.allclose(network.pool(hidden, mask)[0, 0], weights @ hidden[0], atol=1e-5)
    assert not torch.allclose(labelled[0, 0], labelled[0, 1], atol=1e-3)


def test_network_is_saved_and_loaded_whole(network: ComplaintModel, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert torch.equal(logits(again, ids(3, 12)), logits(network, ids(3, 12)))
    assert again.config.cause_labels == network.config.cause_labels
    assert again.config.taxonomy_version == network.config.taxonomy_version


def test_load_refuses_what_is_no_kesu_model(tiny_base: Path) -> None:
    with pytest.raises(ValueError, match="no kesu model"):
        load(tiny_base)


def test_load_refuses_missing_and_damaged_weights(network: ComplaintModel, tmp_path: Path) -> None:
    state = network.state_dict()
    del state["queries"]
    network.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(ValueError, match="lacks 1 of its weights, for instance queries"):
        load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged" * 20)
    with pytest.raises(ValueError, match="cannot be read"):
        load(tmp_path)


def test_build_from_an_encoder_keeps_it_and_starts_heads_at_zero(tiny_base: Path, taxonomy: Taxonomy) -> None:
    fresh = build(str(tiny_base), taxonomy)
    encoder = BertModel.from_pretrained(tiny_base, add_pooling_layer=False).state_dict()
    assert all(torch.equal(value, encoder[name]) for name, value in fresh.encoder.state_dict().items())
    assert not logits(fresh, ids(2, 9)).any()


def test_build_warm_start_keeps_known_labels_only(network: ComplaintModel, taxonomy: Taxonomy, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path)
    kept = taxonomy.causes[3]
    changed = parse_taxonomy(SMALL_TAXONOMY.replace("thing.late", kept.id), Path("toy.yaml"))
    warm = build(str(tmp_path), changed)
    old, new = logits(network, ids(2, 9)), logits(warm, ids(2, 9))
    position = list(changed.cause_ids).index(kept.id)
    assert torch.allclose(new[:, position], old[:, 3], atol=1e-5)
    others = [i for i in range(len(changed.causes)) if i != position]
    assert not new[:, others].any()
    # The severities "0" to "3" are the same labels in both taxonomies.
    before, now = network.eval()(ids(2, 9)).severity, warm.eval()(ids(2, 9)).severity
    assert torch.allclose(now, before[:, : changed.levels], atol=1e-5)


def test_build_keeps_the_last_of_the_layers(tiny_base: Path, taxonomy: Taxonomy) -> None:
    student = build(str(tiny_base), taxonomy, layers=1)
    encoder = BertModel.from_pretrained(tiny_base, add_pooling_layer=False)
    assert student.config.encoder["num_hidden_layers"] == len(student.encoder.encoder.layer) == 1
    wanted = encoder.encoder.layer[-1].state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in student.encoder.encoder.layer[0].state_dict().items())
    with pytest.raises(ValueError, match="has 2 layers, 3 cannot be kept"):
        build(str(tiny_base), taxonomy, layers=3)


def test_build_refuses_other_encoders_and_incomplete_ones(taxonomy: Taxonomy, tmp_path: Path) -> None:
    other = DistilBertConfig(vocab_size=50, dim=16, hidden_dim=32, n_layers=1, n_heads=2)
    DistilBertModel(other).save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match="no encoder like BERT"):
        build(str(tmp_path / "other"), taxonomy)
    tiny = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    bert = BertModel(tiny, add_pooling_layer=False)
    state = bert.state_dict()
    del state["embeddings.word_embeddings.weight"]
    bert.save_pretrained(tmp_path / "part", state_dict=state)
    with pytest.raises(ValueError, match="lacks 1 of its weights"):
        build(str(tmp_path / "part"), taxonomy)


def test_network_learns_from_the_smallest_batch(tiny_base: Path, taxonomy: Taxonomy) -> None:
    network = build(str(tiny_base), taxonomy).train()
    output = network(ids(2, 9))
    sum(getattr(output, name).square().sum() + getattr(output, name).sum() for name in DIMENSIONS).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
    assert torch.isfinite(network.standardise.running_var).all()
