"""uvicorn's HTTP/1.1 connection, mended where a caller would be lost or could keep others out.

- An offer to go on in another protocol (``Upgrade: h2c``, which Java's HTTP client makes with every request) is
  passed over, as RFC 9110 section 7.8 allows. httptools takes the body for the other protocol's.
- A request's head must arrive in time, like its body.
- Above the limit of open connections the one that has been idle for longest is closed for a new one.
- What is no HTTP is told so in JSON, like every other error.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from asyncio import TimerHandle, Transport

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.errors import MalformedBody, ServiceError, SlowBody, problem_of
from serving.wire import dumps

# Headers by which a request offers another protocol.
_OFFER = (b"upgrade", b"http2-settings")


class Connection(HttpToolsProtocol):
    """One caller's connection."""

    # Seconds, and number of connections; ``connection`` sets them.
    head_seconds = 10.0
    most = 1024

    _deadline: TimerHandle | None = None
    _offered = False
    _quiet_since = 0.0  # not by the loop's clock, which uvloop turns by whole milliseconds

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        if len(self.connections) >= self.most:
            idle = [other for other in self.connections if isinstance(other, Connection) and other.may_go]
            if idle:
                min(idle, key=lambda other: other._quiet_since).transport.close()
        super().connection_made(transport)
        self._quiet_since = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._head_is_over()
        super().connection_lost(exc)

    @property
    def idle(self) -> bool:
        """Whether no request is at work or has its head complete."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def may_go(self) -> bool:
        """Whether it is idle and not on its way out already, which does not make room for a second one."""
        return self.idle and not self.transport.is_closing()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._unset_keepalive_if_required()
        self._quiet_since = time.monotonic()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if self._offered:
                self._read_on(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(MalformedBody("this is no HTTP request, or one that is not well-formed"))

    def on_message_begin(self) -> None:
        """The first bytes of a head."""
        super().on_message_begin()
        self._offered = False
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self._too_slow)

    def on_headers_complete(self) -> None:
        """The head has arrived."""
        self._head_is_over()
        self._offered = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if not self._offered:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body has arrived, or would begin here in the protocol that was offered."""
        if not self._offered:
            super().on_message_complete()

    def _read_on(self, rest: bytes) -> None:
        """Read the request once more, without its offer, and what follows its head."""
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()]
        for name, value in self.headers:
            if name == b"connection":
                kept = [word.strip() for word in value.split(b",") if word.strip().lower() not in _OFFER]
                value = b", ".join(kept)
            if name not in _OFFER and (value or name != b"connection"):
                lines.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does with its own
        self.data_received(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _too_slow(self) -> None:
        self._deadline = None
        self._refuse(SlowBody(f"the request's head did not arrive within {self.head_seconds:g} s"))

    def _head_is_over(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, error: ServiceError) -> None:
        """Answer what never becomes a request, and hang up."""
        self._head_is_over()
        if self.transport.is_closing():
            return
        problem, identity = problem_of(error), uuid.uuid4().hex
        self.logger.warning("request refused: %s (%s)", problem.code, identity)
        body = dumps({"error": problem.to_dict(identity)})
        head = [
            STATUS_LINE[problem.status].rstrip(),
            b"content-type: application/json",
            b"content-length: %d" % len(body),
            b"x-request-id: " + identity.encode(),
            b"connection: close",
        ]
        # Between the parts of another answer it would be read as one of them.
        if self.idle:
            self.transport.write(b"\r\n".join(head) + b"\r\n\r\n" + body)
        self.transport.close()


def connection(head_seconds: float, most: int) -> type[asyncio.Protocol]:
    """The class of connections for a service with these limits."""
    return type("Connection", (Connection,), {"head_seconds": head_seconds, "most": most})
