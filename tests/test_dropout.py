from __future__ import annotations

import pytest
import torch
from torch import nn

from training.dropout import PooledDropout, use_pooled_dropout


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_zeroes_its_share_and_keeps_the_mean(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    out = PooledDropout(0.25)(torch.ones(64, 1000, dtype=dtype)).float()
    assert out.shape == (64, 1000)
    assert abs((out == 0).float().mean() - 0.25) < 0.01
    assert abs(out.mean() - 1) < 0.01
    assert set(out.unique().tolist()) == {0.0, torch.tensor(1 / 0.75, dtype=dtype).item()}


def test_dropout_passes_everything_when_not_training() -> None:
    x = torch.randn(5, 7)
    assert torch.equal(PooledDropout(0.5).eval()(x), x)
    assert torch.equal(PooledDropout(0.0)(x), x)


def test_dropout_masks_differ_from_call_to_call_and_hang_on_the_seed() -> None:
    def masks(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        drop = PooledDropout(0.5, refresh=2)
        return [drop(torch.ones(200)) for _ in range(5)]

    first, again, other = masks(1), masks(1), masks(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_dropout_lets_gradients_through_what_it_keeps() -> None:
    torch.manual_seed(0)
    x = torch.ones(100, requires_grad=True)
    out = PooledDropout(0.5)(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())


def test_dropout_bears_more_than_its_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.dropout.POOL_SIZE", 64)
    drop = PooledDropout(0.5)
    for size in (10, 100, 40):
        assert drop(torch.ones(size)).shape == (size,)


def test_dropout_of_one_rate_shares_one_pool() -> None:
    network = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.1)), nn.Dropout(0.2))
    use_pooled_dropout(network)
    assert network[0] is network[1][1]
    assert network[2] is not network[0]
    assert (network[0].p, network[2].p) == (0.1, 0.2)
    assert not any(isinstance(module, nn.Dropout) for module in network.modules())
