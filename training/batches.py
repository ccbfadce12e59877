"""Batches of about equal cost: texts of like length, a budget of padded tokens."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class TokenBudgetBatchSampler(Sampler[list[int]]):
    """Batches of indices whose padded size (rows x longest) stays within ``budget`` tokens.

    Texts are shuffled, sorted by length inside windows, cut into batches, and the batches
    are shuffled again: little padding, yet a new mixture every epoch. Deterministic in
    ``seed`` and epoch. No batch has a single row (batch statistics need two). Every epoch has
    the number of batches of the first, rounded up to a multiple of ``processes``: the trainer
    counts its steps once, and data-parallel processes stay in step. For that the odd batch of
    an epoch is left out or read twice. Raises ValueError for fewer than two texts.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        budget: int,
        *,
        max_rows: int = 128,
        seed: int = 0,
        window: int = 2048,
        processes: int = 1,
    ):
        if len(lengths) < 2:
            raise ValueError(f"at least two texts are needed to form a batch, not {len(lengths)}")
        self.lengths = np.asarray(lengths)
        self.budget, self.max_rows, self.seed, self.window = budget, max_rows, seed, window
        self.epoch = 0
        first = self._make(0)
        self._count = len(first) + -len(first) % processes
        self._cached = (0, self._fitted(first))

    def set_epoch(self, epoch: int) -> None:
        """Choose the shuffle; called by the training loop before each epoch."""
        self.epoch = epoch

    def _batches(self) -> list[list[int]]:
        if self._cached[0] != self.epoch:
            self._cached = (self.epoch, self._fitted(self._make(self.epoch)))
        return self._cached[1]

    def _fitted(self, batches: list[list[int]]) -> list[list[int]]:
        """Exactly as many batches as every other epoch has."""
        return list(itertools.islice(itertools.cycle(batches), self._count))

    def _make(self, epoch: int) -> list[list[int]]:
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.lengths))
        batches: list[list[int]] = []
        for start in range(0, len(order), self.window):
            part = order[start : start + self.window]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batch: list[int] = []
            for index in part.tolist():
                if batch and (len(batch) >= self.max_rows or (len(batch) + 1) * int(self.lengths[index]) > self.budget):
                    batches.append(batch)
                    batch = []
                batch.append(index)
            batches.append(batch)
        whole = [batch for batch in batches if len(batch) > 1]
        singles = [batch for batch in batches if len(batch) == 1]
        whole += [one + other for one, other in zip(singles[::2], singles[1::2], strict=False)]
        if len(singles) % 2:
            last = singles[-1]
            min(whole, key=lambda b: (abs(self.lengths[b[-1]] - self.lengths[last[0]]), len(b))).extend(last)
        rng.shuffle(whole)
        return whole

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._batches()

    def __len__(self) -> int:
        return self._count
