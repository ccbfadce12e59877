"""Loads what answers, then listens until told to stop."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn

from model.errors import InvalidInput
from serving.app import create_app
from serving.bundle import Bundle
from serving.examples import SHORT
from serving.logs import Forward, LineWriter, make_log
from serving.service import Service
from serving.settings import Settings

# Whose own lines join the log.
_LIBRARIES = ("uvicorn", "asyncio")


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C, then let open requests finish.

    Raises a KesuError when model, rules or playbook are not whole or fail their self-check,
    InvalidInput when the address cannot be had.
    """

    def load() -> Bundle:
        return Bundle.load(settings.model, settings.playbook, settings.severity_rules, settings.threads)

    bundle = load()
    bundle.check()
    writer = LineWriter(sys.stderr.buffer if settings.logs else None)
    log = make_log(writer)
    service = Service(settings, bundle, load, log)
    service.metrics.watch("kesu_log_lines_dropped", "Log lines that could not be written", lambda: writer.dropped)
    server = _Server(
        uvicorn.Config(
            create_app(service),
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            limit_concurrency=settings.connections,
            timeout_graceful_shutdown=settings.drain_seconds,
        )
    )
    server.keyed = bool(settings.api_keys)
    forward = Forward(log)
    for name in _LIBRARIES:
        logging.getLogger(name).addHandler(forward)
        logging.getLogger(name).propagate = False
    try:
        with _quiet_end():
            server.run()
    except SystemExit as stop:  # uvicorn's way to say that the address is taken; its reason is in the log
        if stop.code:
            raise InvalidInput(
                f"{settings.host}:{settings.port}: cannot listen there; if another program does, choose another --port"
            ) from None
        raise
    finally:
        for name in _LIBRARIES:
            logging.getLogger(name).removeHandler(forward)
            logging.getLogger(name).propagate = True
        writer.close()


class _Server(uvicorn.Server):
    keyed = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell people where the service is, and a call that works as it stands."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
            key = "" if not self.keyed else " -H 'X-API-Key: YOUR KEY'"
            print(f"kesu serves on {address} (documentation: {address}/docs; Ctrl-C stops it). Try:")
            print(f"  curl {address}/v1/classify -H 'Content-Type: application/json'{key} \\")
            print(f"    -d '{json.dumps(SHORT, ensure_ascii=False)}'", flush=True)


@contextlib.contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises SIGTERM once more after it has drained; by then all is done, and the exit code is 0."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
