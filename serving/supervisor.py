"""Keeps the service alive: this process holds the listening socket, a child answers on it, one that dies is replaced.

While a child is replaced (about a second) callers wait in the socket's queue instead of being refused.
The child gets its settings on standard input; when that closes, this process is gone and the child ends as well.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time

from model.errors import KesuError
from serving.logs import LineWriter, make_log
from serving.server import announce, listen, run
from serving.settings import Settings

CODE = "from serving.supervisor import child; child()"
# A child that lived this long died of something else than its start.
_SETTLED = 30.0
_LONGEST_PAUSE = 30.0


def supervise(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code. Where processes cannot share a socket this process serves itself.

    Raises InvalidInput when the address cannot be had. A child that fails before the first
    request could be answered is not tried again: its own message tells why.
    """
    with listen(settings) as listener:
        if sys.platform == "win32":
            run(settings, listener, lambda: announce(settings, listener))
            return 0
        return _Supervisor(settings, listener).run()


class _Supervisor:
    def __init__(self, settings: Settings, listener: socket.socket):
        self.settings, self.listener = settings, listener
        self.writer = LineWriter(sys.stderr.buffer if settings.logs else None)
        self.log = make_log(self.writer)
        self.ending = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        before = {
            number: signal.signal(number, self._forward) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        try:
            return self._keep()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.writer.close()

    def _keep(self) -> int:
        """Start children, one after the other, until one ends because it was told to."""
        served, pause = False, 0.5
        while True:
            began = time.monotonic()
            code, ready = self._one(quiet=served)
            if self.ending.is_set():
                return code
            if not (ready or served):
                return code
            served = True
            pause = 0.5 if time.monotonic() - began > _SETTLED else min(2 * pause, _LONGEST_PAUSE)
            # The first replacement comes at once; only one that dies again and again has to wait.
            wait = 0.0 if pause <= 1.0 else pause
            self.log.error("worker_died", code=code, restart_seconds=wait)
            if self.ending.wait(wait):
                return 0

    def _one(self, *, quiet: bool) -> tuple[int, bool]:
        """Run one child to its end: its exit code, and whether it ever was ready."""
        told, tell = os.pipe()
        with os.fdopen(told, "rb") as ready_pipe:
            try:
                process = subprocess.Popen(
                    [sys.executable, *_warnings(), "-c", CODE, str(self.listener.fileno()), str(tell)],
                    stdin=subprocess.PIPE,
                    pass_fds=(self.listener.fileno(), tell),
                    start_new_session=True,  # Ctrl-C reaches it through this process alone
                )
            finally:
                os.close(tell)
            with process:
                self.process = process
                assert process.stdin
                try:
                    process.stdin.write(self.settings.model_dump_json().encode() + b"\n")
                    process.stdin.flush()
                except BrokenPipeError:
                    pass  # it is dead already
                if self.ending.is_set():
                    process.terminate()
                ready = ready_pipe.read(1) == b"1"
                if ready and not quiet:
                    announce(self.settings, self.listener)
                code = process.wait()
                self.process = None
        return (128 - code if code < 0 else code), ready

    def _forward(self, number: int, _: object) -> None:
        if number != signal.SIGHUP:
            self.ending.set()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP if number == signal.SIGHUP else signal.SIGTERM)


def _warnings() -> list[str]:
    return [part for option in sys.warnoptions for part in ("-W", option)]


def child() -> None:
    """What a child runs: settings on standard input, descriptors of socket and ready pipe as arguments."""
    descriptor, tell = map(int, sys.argv[1:3])
    settings = Settings.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, args=(sys.stdin.fileno(),), daemon=True).start()

    def ready() -> None:
        os.write(tell, b"1")
        os.close(tell)

    try:
        run(settings, socket.socket(fileno=descriptor), ready)
    except KesuError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _end_with_parent(descriptor: int) -> None:
    # Not through sys.stdin: a thread that waits in it may not outlive the interpreter.
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)
