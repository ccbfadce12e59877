"""Batches of about equal cost: texts of like length, a budget of padded tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class TokenBudgetBatchSampler(Sampler[list[int]]):
    """Batches of indices whose padded size (rows x longest) stays within ``budget`` tokens.

    Texts are shuffled, sorted by length inside windows, cut into batches, and the batches
    are shuffled again: little padding, yet a new mixture every epoch. Deterministic in
    ``seed`` and epoch.
    """

    def __init__(self, lengths: Sequence[int], budget: int, *, max_rows: int = 128, seed: int = 0, window: int = 2048):
        self.lengths = np.asarray(lengths)
        self.budget, self.max_rows, self.seed, self.window = budget, max_rows, seed, window
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the shuffle; called by the training loop before each epoch."""
        self.epoch = epoch

    def _batches(self) -> list[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.lengths))
        batches: list[list[int]] = []
        for start in range(0, len(order), self.window):
            part = order[start : start + self.window]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batch: list[int] = []
            for index in part.tolist():
                if batch and (len(batch) >= self.max_rows or (len(batch) + 1) * self.lengths[index] > self.budget):
                    batches.append(batch)
                    batch = []
                batch.append(index)
            if batch:
                batches.append(batch)
        rng.shuffle(batches)
        return batches

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._batches()

    def __len__(self) -> int:
        return len(self._batches())
