"""The queue in front of the engine: order, groups, lanes, limits, callers who go."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Sequence
from typing import Any

import pytest

from serving.batching import BATCH, GROUP_TEXTS, GROUP_TOKENS, SINGLE, Batcher
from serving.errors import CallerGone, EngineFailed, Overloaded
from tests.service.gates import LONG, Gate, called, fails, held, run, until


def test_results_come_in_order_and_errors_stand_in_their_place() -> None:
    async def scenario(batcher: Batcher) -> None:
        calls = [(lambda: 1, 5), (fails(ValueError("x")), 5), (lambda: 3, 5)]
        results, waited = await batcher.run(BATCH, called, calls, LONG)
        assert (results[0], type(results[1]), results[2]) == (1, ValueError, 3)
        assert len(waited) == 3
        assert batcher.waiting(BATCH) == (0, 0)

    run(scenario, workers=2)


def test_above_the_budget_a_request_is_refused_at_once_and_told_when_to_return() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate = Gate()
        busy = await held(batcher, gate)
        waiting = asyncio.create_task(batcher.run(SINGLE, called, [(lambda: 1, 101)], LONG))
        await until(lambda: batcher.waiting(SINGLE) == (1, 101))
        with pytest.raises(Overloaded) as refused:
            await batcher.run(SINGLE, called, [(lambda: 2, 1)], LONG)
        assert refused.value.retry_after
        assert refused.value.retry_after >= 1
        gate.open.set()
        await asyncio.gather(busy, waiting)
        assert batcher.waiting(SINGLE) == (0, 0)

    run(scenario)


def test_a_request_above_the_whole_budget_is_taken_by_an_empty_lane() -> None:
    async def scenario(batcher: Batcher) -> None:
        assert (await batcher.run(BATCH, called, [(lambda: 1, 60)] * 5, LONG))[0] == [1] * 5

    run(scenario)


class Groups:
    """Work that notes what it got together."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.seen.append(list(items))
        return [item * item for item in items]


@pytest.mark.parametrize(
    ("workers", "costs", "sizes"),
    [
        (1, [1] * 10, [4, 4, 2]),
        (2, [1] * 4, [2, 1, 1]),  # a share for each worker, whether or not it comes
        (1, [GROUP_TOKENS - 1, 1, 1, GROUP_TOKENS + 1, 1], [2, 1, 1, 1]),
    ],
)
def test_texts_that_wait_are_taken_a_few_at_a_time(workers: int, costs: list[int], sizes: list[int]) -> None:
    async def scenario(batcher: Batcher) -> None:
        work, gates = Groups(), [Gate() for _ in range(workers)]
        busy = [await held(batcher, gate) for gate in gates]
        items = [(number, cost) for number, cost in enumerate(costs)]
        waiting = asyncio.create_task(batcher.run(BATCH, work, items, LONG))
        await until(lambda: batcher.waiting(BATCH)[0] == len(costs))
        gates[0].open.set()
        assert (await waiting)[0] == [number * number for number in range(len(costs))]
        assert [len(group) for group in work.seen] == sizes
        for gate in gates:
            gate.open.set()
        await asyncio.gather(*busy)

    run(scenario, workers=workers)


def test_texts_of_other_work_are_never_taken_together() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate, before, after = Gate(), Groups(), Groups()
        busy = await held(batcher, gate)
        waiting = [
            asyncio.create_task(batcher.run(SINGLE, work, [(place, 1)], LONG))
            for place, work in enumerate((before, before, after, after))
        ]
        await until(lambda: batcher.waiting(SINGLE)[0] == 4)
        gate.open.set()
        await asyncio.gather(busy, *waiting)
        assert (before.seen, after.seen) == ([[0, 1]], [[2, 3]])

    run(scenario)


def test_one_stall_does_not_shrink_the_queue_nor_do_failures_widen_it() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate = Gate()
        stalled = await held(batcher, gate)
        await asyncio.sleep(0.2)  # 0.02 s a token, 200 times the usual
        gate.open.set()
        await stalled
        await batcher.run(BATCH, called, [(fails(ValueError("x")), 100)] * 50, LONG)
        gate, waiting = Gate(), []
        busy = await held(batcher, gate)
        await asyncio.sleep(0.02)  # longer than it was expected to take
        for before in range(5):  # up to 80 tokens before it: 8 of 10 ms
            waiting.append(asyncio.create_task(batcher.run(SINGLE, called, [(lambda: 1, 20)], LONG)))
            await until(lambda: batcher.waiting(SINGLE)[0] == before + 1)  # noqa: B023
        with pytest.raises(Overloaded):
            await batcher.run(SINGLE, called, [(lambda: 1, 20)], LONG)
        gate.open.set()
        await asyncio.gather(busy, *waiting)

    run(scenario)


def test_nothing_is_refused_while_a_worker_is_free() -> None:
    async def scenario(batcher: Batcher) -> None:
        costs = [batcher.run(SINGLE, called, [(lambda: 1, 10_000)], LONG) for _ in range(4)]
        assert [results for results, _ in await asyncio.gather(*costs)] == [[1]] * 4

    run(scenario, workers=4)


def test_one_large_text_does_not_close_its_lane() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate, order = Gate(), []
        busy = await held(batcher, gate)

        def slow() -> None:
            order.append("batch")
            time.sleep(0.03)

        batch = asyncio.create_task(batcher.run(BATCH, called, [(slow, GROUP_TOKENS)] * 9, LONG))
        await until(lambda: batcher.waiting(BATCH)[0] == 9)
        large = asyncio.create_task(batcher.run(SINGLE, called, [(lambda: order.append("large"), 9000)], LONG))
        await until(lambda: batcher.waiting(SINGLE)[0] == 1)
        gate.open.set()
        await large
        await batcher.run(SINGLE, called, [(lambda: order.append("small"), 1)], LONG)
        await asyncio.gather(busy, batch)
        assert order.index("small") - order.index("large") <= 3

    run(scenario, patience=LONG)


def test_what_an_item_waits_for_its_company_counts_as_waiting() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate = Gate()
        busy = await held(batcher, gate)

        def slow(items: Sequence[float]) -> Sequence[float]:
            time.sleep(sum(items))
            return items

        waiting = asyncio.create_task(batcher.run(SINGLE, slow, [(0.1, 1)] * 4, LONG))
        await until(lambda: batcher.waiting(SINGLE)[0] == 4)
        gate.open.set()
        _, waited = await waiting
        assert min(waited) >= 0.3
        await busy

    run(scenario)


def test_wrong_number_of_results_is_a_fault_of_the_engine() -> None:
    async def scenario(batcher: Batcher) -> None:
        results, _ = await batcher.run(SINGLE, lambda items: [1] * (len(items) + 1), [(0, 1)] * 3, LONG)
        assert [type(result) for result in results] == [EngineFailed] * 3

    run(scenario)


def test_a_failed_text_is_not_kept_until_the_collector_comes() -> None:
    class Text(str):
        pass

    def refuse(items: Sequence[Any]) -> list[Any]:
        raise ValueError("refused")

    async def scenario(batcher: Batcher) -> None:
        text = Text("text")
        gone = weakref.ref(text)
        results, _ = await batcher.run(SINGLE, refuse, [(text, 1)], LONG)
        assert isinstance(results[0], ValueError)
        del text, results
        assert await batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG)
        assert gone() is None

    gc.collect()
    gc.disable()
    try:
        run(scenario)
    finally:
        gc.enable()


def test_a_single_text_does_not_wait_for_a_whole_batch() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate, order = Gate(), []
        busy = await held(batcher, gate)
        batch = asyncio.create_task(batcher.run(BATCH, called, [(lambda: order.append("batch"), 10)] * 20, LONG))
        await until(lambda: batcher.waiting(BATCH)[0] == 20)
        single = asyncio.create_task(batcher.run(SINGLE, called, [(lambda: order.append("single"), 10)], LONG))
        await until(lambda: batcher.waiting(SINGLE)[0] == 1)
        gate.open.set()
        await asyncio.gather(busy, batch, single)
        assert order.index("single") <= GROUP_TEXTS

    run(scenario, patience=LONG)


def test_lanes_take_turns_by_tokens_not_by_texts() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate, order = Gate(), []
        busy = await held(batcher, gate)
        batch = asyncio.create_task(
            batcher.run(BATCH, called, [(lambda: order.append("batch"), GROUP_TOKENS)] * 4, LONG)
        )
        await until(lambda: batcher.waiting(BATCH)[0] == 4)
        single = [
            asyncio.create_task(batcher.run(SINGLE, called, [(lambda: order.append("single"), 10)], LONG))
            for _ in range(20)
        ]
        await until(lambda: batcher.waiting(SINGLE)[0] == 20)
        gate.open.set()
        await asyncio.gather(busy, batch, *single)
        assert order.index("batch", order.index("single")) >= 20  # 200 tokens of singles against one text of the batch

    run(scenario, patience=LONG)


def test_caller_who_hung_up_costs_nothing_and_frees_the_place() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate, never = Gate(), Gate()
        busy = await held(batcher, gate)
        gone = asyncio.Event()

        async def hung_up() -> None:
            await gone.wait()

        waiting = asyncio.create_task(batcher.run(SINGLE, never.work, [(None, 100)], LONG, hung_up))
        await until(lambda: batcher.waiting(SINGLE) == (1, 100))
        gone.set()
        with pytest.raises(CallerGone):
            await waiting
        assert batcher.waiting(SINGLE) == (0, 0)
        gate.open.set()
        await busy
        assert (await batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG))[0] == [1]
        assert never.count == 0
        assert batcher.abandoned == 1

    run(scenario)


def test_cancelled_request_frees_its_place() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate, never = Gate(), Gate()
        busy = await held(batcher, gate)
        waiting = asyncio.create_task(batcher.run(SINGLE, never.work, [(None, 100)], LONG))
        await until(lambda: batcher.waiting(SINGLE) == (1, 100))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert batcher.waiting(SINGLE) == (0, 0)
        gate.open.set()
        await busy
        assert never.count == 0

    run(scenario)
