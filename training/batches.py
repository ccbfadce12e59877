"""Batches of about equal cost: texts of like length, a budget of padded tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class TokenBudgetBatchSampler(Sampler[list[int]]):
    """Batches of indices whose padded size (rows x longest) stays within ``budget`` tokens.

    Texts are shuffled, sorted by length inside windows, cut into batches, and the batches
    are shuffled again: little padding, yet a new mixture every epoch. Deterministic in
    ``seed`` and epoch. No batch has a single row (batch statistics need two), and the number
    of batches is a multiple of ``processes``, so that data-parallel processes stay in step.
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
        self.processes = processes
        self.epoch = 0
        self._cached: tuple[int, list[list[int]]] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Choose the shuffle; called by the training loop before each epoch."""
        self.epoch = epoch

    def _batches(self) -> list[list[int]]:
        if self._cached is None or self._cached[0] != self.epoch:
            self._cached = (self.epoch, self._make())
        return self._cached[1]

    def _make(self) -> list[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
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
        for single in (batch for batch in batches if len(batch) == 1):
            if whole:
                min(whole, key=lambda b: (abs(self.lengths[b[-1]] - self.lengths[single[0]]), len(b))).extend(single)
            else:
                whole.append(single)
        rng.shuffle(whole)
        missing = -len(whole) % self.processes
        return whole + whole[:missing]

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._batches()

    def __len__(self) -> int:
        return len(self._batches())
