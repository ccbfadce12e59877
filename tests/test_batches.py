from __future__ import annotations

import numpy as np
import pytest

from training.batches import TokenBudgetBatchSampler

LENGTHS = np.random.default_rng(3).integers(5, 120, size=5000).tolist()


def test_batches_keep_the_budget_and_hold_two_rows_at_least() -> None:
    sampler = TokenBudgetBatchSampler(LENGTHS, 1024, max_rows=50)
    over = 0
    for batch in sampler:
        assert 2 <= len(batch) <= 51
        over += len(batch) * max(LENGTHS[i] for i in batch) > 1024
    # Only where a last row of a window joined another batch, so that it is not alone.
    assert over <= 1


def test_batches_read_every_text_of_the_first_epoch_once() -> None:
    assert sorted(i for batch in TokenBudgetBatchSampler(LENGTHS, 1024) for i in batch) == list(range(len(LENGTHS)))


def test_batches_are_the_same_number_in_every_epoch_and_almost_every_text_is_read() -> None:
    sampler = TokenBudgetBatchSampler(LENGTHS, 1024, window=400)
    first = len(sampler)
    for epoch in range(1, 6):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == first
        assert len({i for batch in batches for i in batch}) > 0.97 * len(LENGTHS)


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    one, other = TokenBudgetBatchSampler(LENGTHS, 1024, seed=1), TokenBudgetBatchSampler(LENGTHS, 1024, seed=1)
    one.set_epoch(4)
    list(one)
    one.set_epoch(2)
    other.set_epoch(2)
    assert list(one) == list(other)
    other.set_epoch(3)
    assert list(one) != list(other)
    assert list(TokenBudgetBatchSampler(LENGTHS, 1024, seed=2)) != list(TokenBudgetBatchSampler(LENGTHS, 1024, seed=1))


def test_batches_hold_texts_of_like_length() -> None:
    padded = sum(len(b) * max(LENGTHS[i] for i in b) for b in TokenBudgetBatchSampler(LENGTHS, 1024))
    assert sum(LENGTHS) / padded > 0.9


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
@pytest.mark.parametrize("texts", [2, 3, 20, 300])
def test_batches_are_a_multiple_of_the_processes(processes: int, texts: int) -> None:
    sampler = TokenBudgetBatchSampler([40] * texts, 200, processes=processes)
    assert len(list(sampler)) == len(sampler)
    assert len(sampler) % processes == 0


def test_batches_of_texts_beyond_the_budget_are_pairs() -> None:
    batches = list(TokenBudgetBatchSampler([100] * 9, 150))
    assert sorted(map(len, batches)) == [2, 2, 2, 3]


def test_batches_refuse_a_single_text() -> None:
    with pytest.raises(ValueError, match="two texts"):
        TokenBudgetBatchSampler([5], 100)
