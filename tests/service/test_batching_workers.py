"""The workers behind the queue: what raises, hangs, comes back or cannot be started."""

from __future__ import annotations

import asyncio
import threading

import pytest

from serving.batching import SINGLE, Batcher, Limits
from serving.errors import EngineFailed, EngineTimeout, QueueTimeout, Stalled
from tests.service.gates import LONG, Gate, called, fails, held, run, until


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), StopIteration(), GeneratorExit()])
def test_worker_survives_whatever_the_engine_raises(error: BaseException) -> None:
    async def scenario(batcher: Batcher) -> None:
        results, _ = await batcher.run(SINGLE, called, [(fails(error), 1)], LONG)
        assert isinstance(results[0], EngineFailed)
        mixed, _ = await batcher.run(SINGLE, called, [(lambda: 1, 1), (fails(error), 1), (lambda: 3, 1)], LONG)
        assert (mixed[0], type(mixed[1]), mixed[2]) == (1, EngineFailed, 3)
        assert (await batcher.run(SINGLE, called, [(lambda: 7, 1)], LONG))[0] == [7]

    run(scenario)


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


def test_close_answers_whoever_has_no_answer() -> None:
    async def scenario(batcher: Batcher) -> None:
        gate = Gate()
        busy = await held(batcher, gate)
        waiting = asyncio.create_task(batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG))
        await until(lambda: batcher.waiting(SINGLE)[0] == 1)
        batcher.close()
        assert isinstance((await waiting)[0][0], Stalled)
        with pytest.raises(Stalled):
            await batcher.run(SINGLE, called, [(lambda: 1, 1)], LONG)
        assert isinstance((await busy)[0][0], Stalled)
        gate.open.set()

    run(scenario)
