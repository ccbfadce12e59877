"""A queue without an engine: functions as its work, and gates that hold its workers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from serving.batching import BATCH, SINGLE, Batcher, Limits

LONG = 30.0


class Gate:
    """Calls that wait until they are let go, and tell when they have begun."""

    def __init__(self) -> None:
        self.open, self.begun, self.count = threading.Event(), threading.Event(), 0

    def __call__(self) -> str:
        self.count += 1
        self.begun.set()
        assert self.open.wait(LONG)
        return "done"

    def work(self, items: Sequence[None]) -> list[str]:
        """The same as work of its own, which is never taken together with another gate's."""
        return [self() for _ in items]


def called(items: Sequence[Callable[[], Any]]) -> list[Any]:
    """The work of these tests: every item is a function."""
    return [item() for item in items]


def run(
    scenario: Callable[[Batcher], Coroutine[Any, Any, None]],
    *,
    workers: int = 1,
    patience: float = 0.01,
    hang: float = LONG,
) -> None:
    async def main() -> None:
        batcher = Batcher(workers, dict.fromkeys((SINGLE, BATCH), Limits(patience, hang)))
        batcher.start()
        try:
            await scenario(batcher)
        finally:
            batcher.close()

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.002)


async def held(batcher: Batcher, gate: Gate) -> asyncio.Task[Any]:
    """A worker that is busy until the gate opens."""
    task = asyncio.create_task(batcher.run(SINGLE, gate.work, [(None, 10)], LONG))
    await until(gate.begun.is_set)
    return task


def fails(error: BaseException) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call
