"""Loads what answers, then listens until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from model.errors import InvalidInput
from serving.app import create_app
from serving.bundle import Bundle
from serving.examples import SHORT
from serving.logs import Forward, LineWriter, make_log
from serving.protocol import connection
from serving.service import Service
from serving.settings import Settings

# Whose own lines join the log.
_LIBRARIES = ("uvicorn", "asyncio")
# Seconds. Longer than load balancers and client pools keep an idle connection (60 as a rule): were this end the first
# to close, a request sent at that moment would be lost.
KEEP_ALIVE = 75
# Seconds before the end of the drain, at most, at which those who wait for a worker are told that no answer will come.
LAST_WORDS = 0.5
# Exit code of a process that ended itself because every worker hung.
STALLED = 75
# New objects between two collections. A request makes some hundreds and leaves no cycles; the default of 700 looks
# through the young ones twice a request, and through all there are every few seconds.
_COLLECT_AFTER = 20_000


def listen(settings: Settings) -> socket.socket:
    """A socket bound to the address of ``settings``. Raises InvalidInput when the address cannot be had."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        # The address that stands for all of a machine's IPv6 addresses is meant for its IPv4 ones, too.
        both = settings.host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048, dualstack_ipv6=both)
    except OSError:
        raise InvalidInput(
            f"{settings.host}:{settings.port}: cannot listen there; if another program does, choose another --port"
        ) from None


def announce(settings: Settings, name: tuple[Any, ...]) -> None:
    """Tell people where the service is, and a call that works as it stands; ``name`` is that of the socket."""
    host, port = name[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    key = " -H 'X-API-Key: YOUR KEY'" if settings.api_keys else ""
    try:
        print(f"kesu serves on {address} (documentation: {address}/docs; Ctrl-C stops it). Try:")
        print(f"  curl {address}/v1/classify -H 'Content-Type: application/json'{key} \\")
        print(f"    -d '{json.dumps(SHORT, ensure_ascii=False)}'", flush=True)
    except OSError:  # a full disk or nobody who reads on: no reason not to serve
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(settings: Settings, listener: socket.socket, ready: Callable[[], object], *, supervised: bool = False) -> None:
    """Serve on ``listener`` until SIGTERM or Ctrl-C, then finish open requests; ``ready`` is called once it answers.

    ``supervised``: somebody starts this process anew when it ends, so it does when every worker hangs for good.
    Raises a KesuError when model, rules or playbook are not whole or fail their self-check.
    """

    def load() -> Bundle:
        # The workers are the threads; an engine with more of its own would only crowd the processors, and those
        # could not be replaced when they hang.
        return Bundle.load(settings.model, settings.playbook, settings.severity_rules, threads=1)

    bundle = load()
    bundle.check()
    # Model, rules, playbook and code stay: the collector need not look through them. (What a reload replaces goes
    # all the same: it holds no circles.)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    writer = LineWriter(sys.stderr.buffer if settings.logs else None)
    log = make_log(writer)
    service = Service(settings, bundle, load, log)
    service.metrics.watch("kesu_log_lines_dropped", "Log lines that could not be written", lambda: writer.dropped)
    server = _Server(
        uvicorn.Config(
            create_app(service),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            http=connection(settings.head_seconds, settings.connections),
            ws="none",
            timeout_graceful_shutdown=settings.drain_seconds,
            timeout_keep_alive=KEEP_ALIVE,
        )
    )
    server.ready, server.last_words = ready, service.batcher.close
    if supervised:
        threading.Thread(
            target=end_when_stalled, args=(service, settings.stalled_seconds), name="kesu-watch", daemon=True
        ).start()
    forward = Forward(log)
    for name in _LIBRARIES:
        logging.getLogger(name).addHandler(forward)
        logging.getLogger(name).propagate = False
    try:
        with _quiet_end(server):
            server.run([listener])
    finally:
        for name in _LIBRARIES:
            logging.getLogger(name).removeHandler(forward)
            logging.getLogger(name).propagate = True
        writer.close()


def end_when_stalled(service: Service, seconds: float, end: Callable[[int], object] = os._exit) -> None:
    """Ends the process at once when no worker has answered for ``seconds``: threads that hang cannot be stopped."""
    step = min(1.0, seconds / 4)
    sound = time.monotonic()
    while time.monotonic() - sound < seconds:
        time.sleep(step)
        if not service.batcher.stalled:
            sound = time.monotonic()
    service.log.error("stalled", seconds=seconds)
    time.sleep(step)  # for the line to be written
    end(STALLED)


class _Server(uvicorn.Server):
    ready: Callable[[], object]
    last_words: Callable[[], object]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started:
            self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain. uvicorn would cut off those who still wait for a worker at its end without a word."""
        end = (self.config.timeout_graceful_shutdown or 0) + 0.1  # uvicorn begins to count after a tenth of a second
        timer = asyncio.get_running_loop().call_later(max(end - LAST_WORDS, end / 2), self.last_words)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()


@contextlib.contextmanager
def _quiet_end(server: uvicorn.Server) -> Iterator[None]:
    """SIGTERM ends ``server`` also before uvicorn minds it.

    uvicorn raises it once more after it has drained; by then all is done, and the exit code is 0.
    """

    def end(*_: object) -> None:
        server.should_exit = True

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
