"""The running service: which bundle answers, and the one way of a text from a request to its answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from model.cpus import available_cpus
from model.errors import KesuError
from serving.batching import BATCH, SINGLE, Batcher, Limits
from serving.bundle import Answer, Bundle, Case, Loader
from serving.errors import Overloaded, ReloadRefused, Stalled
from serving.logs import Log, fault, text_hash
from serving.metrics import Metrics
from serving.record import Record
from serving.security import Guard, Shares
from serving.settings import Settings

Gone = Callable[[], Awaitable[None]]
_SHOWABLE = re.compile(r"[A-Za-z0-9._:/#-]{1,128}")


@dataclass(eq=False)
class Service:
    """State shared by all routes. ``load`` makes the bundle that a reload switches to."""

    settings: Settings
    bundle: Bundle
    load: Loader
    log: Log
    metrics: Metrics = field(default_factory=Metrics)
    draining: bool = False

    def __post_init__(self) -> None:
        settings = self.settings
        self.guard = Guard(settings.api_keys, settings.admin_keys)
        self.shares = Shares(settings.texts_per_second, settings.burst_texts)
        self.batcher = Batcher(
            settings.threads or available_cpus(),
            {
                SINGLE: Limits(settings.waiting_seconds, settings.text_seconds),
                BATCH: Limits(settings.waiting_batch_seconds, settings.batch_seconds),
            },
        )
        self._reloading = asyncio.Lock()
        for place, name in enumerate(("texts", "tokens")):
            for lane in (SINGLE, BATCH):
                self.metrics.watch(
                    f"kesu_waiting_{lane}_{name}",
                    f"{name} that wait, {lane} lane",
                    lambda lane=lane, place=place: self.batcher.waiting(lane)[place],  # type: ignore[misc]
                )
        self.metrics.watch("kesu_abandoned_texts", "Texts dropped unread", lambda: self.batcher.abandoned)
        self.metrics.model(self.identity())

    def identity(self) -> dict[str, str]:
        """Names and versions of what answers."""
        info = self.bundle.classifier.info
        return {
            "name": info.name,
            "version": info.version,
            "taxonomy_version": info.taxonomy_version,
            "playbook_version": self.bundle.book.version,
        }

    def unready(self) -> str | None:
        """Why the service should get no requests now, if so."""
        if self.draining:
            return "shutting down"
        return "the model does not answer; restart the service" if self.batcher.stalled else None

    async def answer(
        self, cases: Sequence[Case], record: Record, gone: Gone | None, lane: str = SINGLE
    ) -> list[Answer | Exception]:
        """One answer a case, in order, or the error that stands in its place.

        Raises RateLimited, Overloaded, Stalled, CallerGone for the request as a whole.
        """
        for case in cases:
            if isinstance(case.text, str):
                record.add_text(len(case.text), text_hash(case.text), showable(case.id))
        self.shares.charge(record.key, len(cases))
        bundle, settings = self.bundle, self.settings
        seconds = settings.text_seconds if lane == SINGLE else settings.batch_seconds
        items = [(case, bundle.cost(case)) for case in cases]
        try:
            results, waited = await self.batcher.run(lane, bundle.answers, items, seconds, gone)
        except (Overloaded, Stalled):
            # Refused before anything was queued. Who comes back after Retry-After must find the share as it was.
            self.shares.refund(record.key, len(cases))
            raise
        record.add_steps({"queue": max(waited, default=0.0)})
        for result, wait in zip(results, waited, strict=True):
            if isinstance(result, Answer):
                record.add_steps(dict(result.steps))
                self.metrics.answer(result.classification, result.tokens, {"queue": wait, **result.steps})
            else:
                self.metrics.failure(result)
                if not isinstance(result, KesuError):
                    record.fault = fault(result)
        return results

    async def reload(self) -> dict[str, str]:
        """Load model, rules and playbook again and switch to them, if they pass the self-check.

        Requests under way keep what they began with. Raises ReloadRefused; then nothing has changed.
        """
        async with self._reloading:
            try:
                bundle = await asyncio.to_thread(self._load_checked)
            except Exception as error:
                self.metrics.reload("refused")
                reason = str(error) if isinstance(error, KesuError) else f"{type(error).__name__} while loading"
                self.log.error("reload_refused", reason=reason, **fault(error))
                raise ReloadRefused(f"the old model and playbook go on: {reason}") from error
            self.bundle = bundle
            self.metrics.reload("done")
            self.metrics.model(self.identity())
            self.log.info("reloaded", **self.identity())
            return self.identity()

    def _load_checked(self) -> Bundle:
        bundle = self.load()
        bundle.check()
        return bundle


def showable(identity: object) -> str:
    """An id as logs and headers may show it: itself when it looks like one, else its hash, since it may be anything."""
    text = "" if identity is None else str(identity)
    return text if not text or _SHOWABLE.fullmatch(text) else f"sha256:{text_hash(text)}"
