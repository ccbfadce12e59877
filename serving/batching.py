"""Requests wait here for a worker: bounded, fair, and nobody is left without an answer.

A text goes to the first free worker at once: the network reads one text a call (its answer must
not depend on neighbours), so waiting for company gains nothing. Texts that wait anyway are taken
a few at a time, because what surrounds the network costs half as much for four in a row as for
one between two others. Two lanes take turns, token by token, so that a batch of hundreds never
holds up a single ticket for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.errors import CallerGone, EngineFailed, EngineTimeout, Overloaded, QueueTimeout, Stalled
from serving.pace import Pace

SINGLE, BATCH = "single", "batch"
# The most texts and tokens that a worker takes at a time. More gain nothing (training/LOG.md), and delay the first.
GROUP_TEXTS, GROUP_TOKENS = 4, 640

# What answers texts: one result each, in order. It raises when it cannot answer one of them.
Work = Callable[[Sequence[Any]], Sequence[Any]]


class Job:
    """One text: ``work`` is called with ``item`` in a worker thread, unless the job was dropped before."""

    __slots__ = ("beside", "cost", "dropped", "future", "item", "lane", "queued", "started", "work")

    def __init__(self, work: Work, item: Any, cost: int, lane: _Lane, future: asyncio.Future[Any]):
        self.work, self.item, self.cost, self.lane, self.future = work, item, cost, lane, future
        self.queued = time.perf_counter()
        self.started = 0.0
        self.beside = 0.0  # seconds in which its worker was at work on the texts taken with it
        self.dropped = False

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Answer the waiter, who may have gone."""
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a lane, in seconds.

    ``patience``: in what time a request must be expected to have its turn, by the tokens before it and
    the pace measured so far; else it is refused at once, unless its lane is empty or a worker is free.
    ``hang``: how long the texts that a worker took together may take before it counts as lost.
    """

    patience: float
    hang: float


class _Lane:
    def __init__(self, limits: Limits):
        self.limits = limits
        self.jobs: deque[Job] = deque()
        self.texts = self.tokens = 0
        self.served = 0  # tokens that workers have taken from here, as far as that decides whose turn it is


class Batcher:
    """A bounded queue in front of ``workers`` threads.

    A worker that is lost is replaced, while there are fewer than twice ``workers`` threads. One
    whose texts end after all goes on if it is missing, else goes home. While every worker is lost
    the service counts as stalled.
    """

    def __init__(self, workers: int, lanes: Mapping[str, Limits]):
        self._lanes = {name: _Lane(limits) for name, limits in lanes.items()}
        self._served = 0
        self._workers = workers
        self._change = threading.Condition()
        self._running: dict[threading.Thread, list[Job]] = {}
        self._lost: set[threading.Thread] = set()
        self._started = self._closed = False
        self._pace = Pace()
        self.abandoned = 0

    def start(self) -> None:
        """Start the workers; call it in the event loop that will wait for answers."""
        with self._change:
            for _ in range(self._workers):
                self._hire()
            self._started = True

    def close(self) -> None:
        """Stop the workers once their present texts are done; whoever has no answer by now is told so."""
        with self._change:
            self._closed = True
            groups = [*(lane.jobs for lane in self._lanes.values()), *self._running.values()]
            unanswered = [job for group in groups for job in group if not job.dropped]
            self._change.notify_all()
        for job in unanswered:
            self._drop(job)
            job.settle(None, Stalled("the service is shutting down", retry_after=1))

    def waiting(self, lane: str) -> tuple[int, int]:
        """Texts and tokens of ``lane`` that no worker has begun."""
        return self._lanes[lane].texts, self._lanes[lane].tokens

    @property
    def stalled(self) -> bool:
        """Whether no worker is left that answers: every one and every replacement hangs."""
        with self._change:
            self._heal()
            return self._started and not self._closed and not self._sound

    async def run(
        self,
        lane: str,
        work: Work,
        items: Sequence[tuple[Any, int]],
        timeout: float,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> tuple[list[Any], list[float]]:
        """What ``work`` gives for each of ``items`` (item, tokens) in order, and the seconds each waited for its turn
        and for the items that were taken with it.

        ``work`` may get several items at once, also of other requests with the same ``work``; when it
        raises, it gets each alone, and the exception stands for those that raise it then, too.
        ``gone`` returns when the caller has hung up; what is not begun by then is dropped.
        Raises Overloaded or Stalled before anything is queued, CallerGone. After ``timeout``
        seconds QueueTimeout or EngineTimeout stand for the items without a result.
        """
        jobs = self._enqueue(self._lanes[lane], work, items)
        everything = asyncio.gather(*(job.future for job in jobs), return_exceptions=True)
        watcher: asyncio.Future[Any] | None = asyncio.ensure_future(gone()) if gone else None
        try:
            watched: set[asyncio.Future[Any]] = {everything} if watcher is None else {everything, watcher}
            done, _ = await asyncio.wait(watched, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if everything not in done:
                if watcher in done:
                    self.abandoned += sum(not job.started for job in jobs)
                    raise CallerGone("the caller hung up before the answer")
                for job in jobs:
                    job.settle(None, _late(job, timeout))
            now = time.perf_counter()
            return await everything, [(job.started or now) - job.queued + job.beside for job in jobs]
        finally:
            if watcher is not None:
                watcher.cancel()
            if not everything.done():
                everything.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await everything
            for job in jobs:
                self._drop(job)

    def _enqueue(self, lane: _Lane, work: Work, items: Sequence[tuple[Any, int]]) -> list[Job]:
        loop = asyncio.get_running_loop()
        tokens = sum(cost for _, cost in items)
        with self._change:
            if self._closed:
                raise Stalled("the service is shutting down", retry_after=1)
            self._heal()
            if not self._sound:
                raise Stalled("the model does not answer; the service must be restarted", retry_after=10)
            seconds = self._seconds(lane)
            if lane.texts and self._sound <= self._busy + lane.texts and seconds > lane.limits.patience:
                message = f"{lane.texts} texts wait already; send this one again later"
                raise Overloaded(message, retry_after=max(1, math.ceil(seconds)))
            jobs = [Job(work, item, cost, lane, loop.create_future()) for item, cost in items]
            # What a lane did not ask for while others worked is not owed to it, nor does it owe much for one text.
            if not lane.texts:
                lane.served = max(self._served, min(lane.served, self._served + GROUP_TOKENS))
            lane.jobs.extend(jobs)
            lane.texts += len(jobs)
            lane.tokens += tokens
            self._change.notify(len(jobs))
        return jobs

    def _seconds(self, lane: _Lane) -> float:
        """Seconds until a new text of ``lane`` has its turn: after the rest of what is begun, and what waits before it.

        Other lanes have as many turns meanwhile.
        """
        now, pace = time.perf_counter(), self._pace.seconds_per_token
        begun = sum(
            max(0.0, sum(job.cost for job in group) * pace - (now - group[0].started))
            for worker, group in self._running.items()
            if group and worker not in self._lost
        )
        beside = sum(min(other.tokens, lane.tokens) for other in self._lanes.values() if other is not lane)
        return (begun + (beside + lane.tokens) * pace) / max(1, self._sound)

    @property
    def _busy(self) -> int:
        return sum(bool(group) and worker not in self._lost for worker, group in self._running.items())

    def _drop(self, job: Job) -> None:
        """Take back a job that no worker has begun; its place is free at once."""
        with self._change:
            if not job.started and not job.dropped:
                job.dropped = True
                job.item = None  # lets go of the text
                self._leave(job)
                if not job.lane.texts:
                    job.lane.jobs.clear()  # none but dropped ones

    @staticmethod
    def _leave(job: Job) -> None:
        job.lane.texts -= 1
        job.lane.tokens -= job.cost

    def _take(self) -> list[Job]:
        """The next jobs, from the lanes in turn; waits for one. Empty: go home."""
        me = threading.current_thread()
        with self._change:
            self._running[me] = []
            if self._sound < self._workers:  # lost, but nobody took its place or that one is lost too
                self._lost.discard(me)
            while me not in self._lost and not self._closed:
                waiting = [lane for lane in self._lanes.values() if lane.texts]
                if waiting:
                    self._running[me] = group = self._group(min(waiting, key=lambda lane: lane.served))
                    return group
                self._change.wait()
            self._running.pop(me, None)
            self._lost.discard(me)
            return []

    def _group(self, lane: _Lane) -> list[Job]:
        """Jobs from the head of ``lane`` for one worker: its share of what waits there, but no more than a few."""
        most = min(GROUP_TEXTS, max(1, lane.texts // self._workers))
        group: list[Job] = []
        tokens = 0
        while lane.jobs and len(group) < most:
            job = lane.jobs[0]
            # Requests keep the model that they began with: a reload changes ``work``.
            if not job.dropped and group and (job.work != group[0].work or tokens + job.cost > GROUP_TOKENS):
                break
            lane.jobs.popleft()
            if job.dropped:
                continue
            self._leave(job)
            job.started = time.perf_counter()
            tokens += job.cost
            group.append(job)
        self._served = lane.served
        lane.served += tokens
        return group

    def _work(self) -> None:
        while group := self._take():
            results = _results(group[0].work, [job.item for job in group])
            spent = time.perf_counter() - group[0].started
            tokens = sum(job.cost for job in group)
            # Of what was refused or failed the time says nothing.
            if not any(error for _, error in results):
                with self._change:
                    self._pace.measured(tokens, spent)
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                group[0].future.get_loop().call_soon_threadsafe(_settle, group, results, spent)
            del group, results  # until there is more to do nobody should hold these texts

    @property
    def _sound(self) -> int:
        return len(self._running) - len(self._lost)

    def _hire(self) -> None:
        # Daemons: one that hangs in the engine must not keep the process from ending.
        worker = threading.Thread(target=self._work, name="kesu-worker", daemon=True)
        worker.start()  # first, as it may fail; the thread itself waits for the lock that is held here
        self._running[worker] = []

    def _heal(self) -> None:
        """Replace workers that have hung for too long, up to twice as many threads as workers."""
        if self._closed or not self._started:
            return
        now = time.perf_counter()
        for worker, group in tuple(self._running.items()):
            if group and now - group[0].started > group[0].lane.limits.hang:
                self._lost.add(worker)
        with contextlib.suppress(RuntimeError):  # no more threads at the moment; the next look tries again
            while self._sound < self._workers and len(self._running) < 2 * self._workers:
                self._hire()


def _results(work: Work, items: Sequence[Any]) -> list[tuple[Any, BaseException | None]]:
    """Result or exception of each item; a group of which one fails is taken apart, so that the others do not.

    Knows no job: the exception's traceback knows this frame, and were it to know the future that
    will hold the exception, the circle would keep the text.
    """
    try:
        results = work(items)
        if len(results) != len(items):
            raise EngineFailed(f"{len(results)} answers to {len(items)} texts")
        return [(result, None) for result in results]
    except BaseException as error:  # a worker never dies of what the engine does
        if len(items) > 1:
            return [found for item in items for found in _results(work, [item])]
        # StopIteration is what no future can hold.
        if not isinstance(error, Exception) or isinstance(error, StopIteration):
            return [(None, EngineFailed(f"the engine raised {type(error).__name__}"))]
        return [(None, error)]


def _settle(group: Sequence[Job], results: Sequence[tuple[Any, BaseException | None]], spent: float) -> None:
    for job, found in zip(group, results, strict=True):
        job.beside = spent * (len(group) - 1) / len(group)
        job.settle(*found)


def _late(job: Job, timeout: float) -> Exception:
    if job.started:
        return EngineTimeout(f"the model did not answer within {timeout:g} s")
    return QueueTimeout(f"no turn came within {timeout:g} s; send it again later", retry_after=1)
