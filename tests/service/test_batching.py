"""The queue in front of the engine, without an engine."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from serving.batching import BATCH, GROUP_TEXTS, GROUP_TOKENS, SINGLE, Batcher, Limits
from serving.errors import CallerGone, EngineFailed, EngineTimeout, Overloaded, QueueTimeout, Stalled

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


def test_results_come_in_order_and_errors_stand_in_their_place() -> None:
    async def scenario(batcher: Batcher) -> None:
        calls = [(lambda: 1, 5), (fails(ValueError("x")), 5), (lambda: 3, 5)]
        results, waited = await batcher.run(BATCH, called, calls, LONG)
        assert (results[0], type(results[1]), results[2]) == (1, ValueError, 3)
        assert len(waited) == 3
        assert batcher.waiting(BATCH) == (0, 0)

    run(scenario, workers=2)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), StopIteration(), GeneratorExit()])
def test_worker_survives_whatever_the_engine_raises(error: BaseException) -> None:
    async def scenario(batcher: Batcher) -> None:
        results, _ = await batcher.run(SINGLE, called, [(fails(error), 1)], LONG)
        assert isinstance(results[0], EngineFailed)
        mixed, _ = await batcher.run(SINGLE, called, [(lambda: 1, 1), (fails(error), 1), (lambda: 3, 1)], LONG)
        assert (mixed[0], type(mixed[1]), mixed[2]) == (1, EngineFailed, 3)
        assert (await batcher.run(SINGLE, called, [(lambda: 7, 1)], LONG))[0] == [7]

    run(scenario)


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


def test_a_thread_that_cannot_be_started_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def scenario(batcher: Batcher) -> None:
        gate = Gate()
        await batcher.run(SINGLE, gate.work, [(None, 1)], 0.2)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            assert batcher.stalled
        assert not batcher.stalled  # looking hires the replacement
        assert (await batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG))[0] == [1]
        gate.open.set()

    run(scenario, hang=0.05)


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


def test_timeouts_tell_whether_the_turn_had_come() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate = Gate()
        (computing,), _ = await batcher.run(SINGLE, gate.work, [(None, 1)], 0.3)
        (waiting,), _ = await batcher.run(SINGLE, called, [(lambda: 1, 1)], 0.05)
        gate.open.set()
        assert isinstance(computing, EngineTimeout)
        assert isinstance(waiting, QueueTimeout)

    run(scenario)


def test_hanging_workers_are_replaced_until_all_hang_then_requests_are_refused_at_once() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate = Gate()
        for _ in range(2):  # the worker, then its replacement
            assert not batcher.stalled
            (result,), _ = await batcher.run(SINGLE, gate.work, [(None, 1)], 0.3)
            assert isinstance(result, EngineTimeout)
            await until(lambda: batcher.stalled or (len(batcher._running) == 2 and gate.count == 1))
        assert batcher.stalled
        with pytest.raises(Stalled):
            await batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG)
        gate.open.set()

    run(scenario, hang=0.2)


def test_hanging_worker_that_comes_back_goes_home() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate = Gate()
        await batcher.run(SINGLE, gate.work, [(None, 1)], 0.3)
        assert not batcher.stalled  # looking replaces the worker
        assert (await batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG))[0] == [1]
        gate.open.set()
        await until(lambda: len(batcher._running) == 1 and not batcher._lost)

    run(scenario, hang=0.2)


@pytest.mark.parametrize("workers", [1, 3])
def test_after_a_slow_spell_of_all_workers_and_replacements_texts_are_answered_again(workers: int) -> None:
    async def scenario(batcher: Batcher) -> None:
        for _ in range(2):  # a second spell finds the service as the first did
            gates = [Gate() for _ in range(2 * workers)]
            slow = [asyncio.create_task(batcher.run(SINGLE, gate.work, [(None, 1)], LONG)) for gate in gates]
            await until(lambda: batcher.stalled)
            assert all(gate.begun.is_set() for gate in gates)
            with pytest.raises(Stalled):
                await batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG)
            for gate in gates:
                gate.open.set()
            assert [results for results, _ in await asyncio.gather(*slow)] == [["done"]] * len(gates)
            await until(lambda: len(batcher._running) == workers and not batcher._lost)
            assert not batcher.stalled
            assert (await batcher.run(SINGLE, called, [(lambda: 1, 1)] * 9, LONG))[0] == [1] * 9

    run(scenario, workers=workers, hang=0.05)


def test_beside_a_worker_that_hangs_for_good_a_slow_one_goes_on_each_time() -> None:
    async def scenario(batcher: Batcher) -> None:
        forever = Gate()
        await batcher.run(SINGLE, forever.work, [(None, 1)], 0.1)
        for _ in range(3):
            gate = Gate()
            slow = asyncio.create_task(batcher.run(SINGLE, gate.work, [(None, 1)], LONG))
            await until(lambda: batcher.stalled)
            gate.open.set()
            assert (await slow)[0] == ["done"]
            await until(lambda: not batcher.stalled)
            assert (await batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG))[0] == [1]
        forever.open.set()
        await until(lambda: len(batcher._running) == 1 and not batcher._lost)

    run(scenario, hang=0.05)


def test_stalled_only_between_start_and_close() -> None:
    async def main() -> None:
        batcher = Batcher(1, {SINGLE: Limits(1, LONG)})
        assert not batcher.stalled
        batcher.start()
        batcher.close()
        await until(lambda: not batcher._running)
        assert not batcher.stalled

    asyncio.run(main())


def test_close_answers_those_who_wait() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate = Gate()
        busy = await held(batcher, gate)
        waiting = asyncio.create_task(batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG))
        await until(lambda: batcher.waiting(SINGLE)[0] == 1)
        batcher.close()
        assert isinstance((await waiting)[0][0], Stalled)
        with pytest.raises(Stalled):
            await batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG)
        gate.open.set()
        assert (await busy)[0] == ["done"]

    run(scenario)
