"""Engines that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from model.engine import Engine, Logits

PATIENCE = 30.0


class Poisoned:
    """A good engine that fails on demand: ``fault`` is raised, "nan" spoils the numbers."""

    def __init__(self, good: Engine):
        self.good = good
        self.fault: Exception | str | None = None

    def logits(self, batch: Sequence[Sequence[int]]) -> Logits:
        if isinstance(self.fault, Exception):
            raise self.fault
        found = self.good.logits(batch)
        return Logits(*(np.full_like(part, np.nan) for part in parts(found))) if self.fault == "nan" else found


class Picky:
    """A good engine that fails on texts of one number of tokens."""

    def __init__(self, good: Engine, tokens: int):
        self.good, self.tokens = good, tokens

    def logits(self, batch: Sequence[Sequence[int]]) -> Logits:
        if any(len(ids) == self.tokens for ids in batch):
            raise RuntimeError("a text it does not like")
        return self.good.logits(batch)


class Gated:
    """An engine that sleeps while its gate is shut, and counts its texts."""

    def __init__(self, good: Engine):
        self.good = good
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.texts = 0

    def logits(self, batch: Sequence[Sequence[int]]) -> Logits:
        self.texts += len(batch)
        self.begun.release()
        self.gate.wait(PATIENCE)
        return self.good.logits(batch)


def parts(logits: Logits) -> tuple[np.ndarray, ...]:
    return logits.causes, logits.motives, logits.severity, logits.style
