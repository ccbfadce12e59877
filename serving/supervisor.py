"""Keeps the service alive: this process holds the listening socket, a child answers on it, one that dies is replaced.

While a child is replaced (about a second) callers wait in the socket's queue instead of being refused.
The child gets its settings on standard input; when that closes, this process is gone and the child ends as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

from model.errors import KesuError
from serving.logs import LineWriter, make_log
from serving.server import announce, listen, run
from serving.settings import Settings

# The child looks for modules where this process does: `python -c` alone would take a model.py of the working directory.
CODE = "import sys; sys.path[:] = sys.argv[3:]; from serving.supervisor import child; child()"
# A child that lived this long died of something else than its start.
_SETTLED = 30.0
_LONGEST_PAUSE = 30.0
# Seconds beyond the drain time until a child that was told to end is killed.
_GRACE = 5.0


def supervise(settings: Settings) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code. Where processes cannot share a socket this process serves itself.

    Raises InvalidInput when the address cannot be had. A child that fails before the first request
    could be answered is not tried again: its own message, or that it was not ready in time, tells why.
    """
    with listen(settings) as listener:
        address = listener.getsockname()
        if sys.platform == "win32":
            run(settings, listener, lambda: announce(settings, address))
            return 0
        return _Supervisor(settings, listener, address).run()


class _Supervisor:
    def __init__(self, settings: Settings, listener: socket.socket, address: tuple[Any, ...]):
        self.settings, self.listener, self.address = settings, listener, address
        self.writer = LineWriter(sys.stderr.buffer if settings.logs else None)
        self.log = make_log(self.writer)
        # Plain values: what a signal handler sets must not be behind a lock that it interrupts.
        self.ending = self.reload = self.ready = False
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
        served, pause = False, 0.0
        while True:
            began = time.monotonic()
            try:
                code, ready = self._one(quiet=served)
            except OSError:  # no memory for another process at the moment, for instance
                if not served:
                    raise
                code, ready = 1, False
            if self.ending or not (ready or served):
                return code
            served = True
            if ready and time.monotonic() - began > _SETTLED:
                pause = 0.0
            self.log.error("worker_died", code=code, restart_seconds=pause)
            if not self._pause(pause):
                return 0
            # The first replacement comes at once; only one that dies again and again has to wait.
            pause = min(2 * pause + 1, _LONGEST_PAUSE)

    def _pause(self, seconds: float) -> bool:
        """Wait, in short sleeps because a signal does not end one; whether to go on after it."""
        until = time.monotonic() + seconds
        while not self.ending and time.monotonic() < until:
            time.sleep(0.1)
        return not self.ending

    def _one(self, *, quiet: bool) -> tuple[int, bool]:
        """Run one child to its end: its exit code, and whether it ever was ready."""
        told, tell = os.pipe()
        with os.fdopen(told, "rb") as ready_pipe:
            try:
                process = subprocess.Popen(
                    [sys.executable, *_warnings(), "-c", CODE, str(self.listener.fileno()), str(tell), *sys.path],
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
                except BrokenPipeError:  # it is dead already
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.close()
                if self.ending:
                    self._end(process)
                limit = self.settings.startup_seconds
                late = not select.select([ready_pipe], [], [], min(limit, threading.TIMEOUT_MAX))[0]
                if late:
                    self.log.error("not_ready", seconds=limit)
                    process.kill()
                self.ready = ready = not late and ready_pipe.read(1) == b"1"
                if ready and self.reload:
                    process.send_signal(signal.SIGHUP)
                self.reload = False
                if ready and not quiet:
                    announce(self.settings, self.address)
                code = process.wait()
                self.process, self.ready = None, False
        if late and not quiet:
            print(f"error: the service was not ready after {limit:g} s; set more startup_seconds", file=sys.stderr)
            return 2, False
        return (128 - code if code < 0 else code), ready

    def _forward(self, number: int, _: object) -> None:
        if number == signal.SIGHUP:
            if self.process is not None and self.ready:
                self.process.send_signal(signal.SIGHUP)
            else:
                self.reload = True  # later: a child that is not ready yet would die of it
            return
        self.ending = True
        if self.process is not None:
            self._end(self.process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Tell the child to end. Once it has closed its own listening socket callers are refused, not left to wait."""
        process.terminate()
        self.listener.close()
        # One that does not heed it, because something in it hangs, must not keep whoever told it waiting for ever.
        last = threading.Timer(self.settings.drain_seconds + _GRACE, process.kill)
        last.daemon = True
        last.start()


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
        run(settings, socket.socket(fileno=descriptor), ready, supervised=True)
    except KesuError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    # Past the interpreter's own end: a worker may still be at work on a text that nobody waits for any more, and the
    # engine aborts the process when what it works with is taken away.
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(0)


def _end_with_parent(descriptor: int) -> None:
    # Not through sys.stdin: a thread that waits in it may not outlive the interpreter.
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)
