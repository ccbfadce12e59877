"""The outermost layer: request id, timings, one log line, and an answer whatever happened inside."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import CallerGone, Overloaded, problem_of
from serving.logs import Log, fault
from serving.metrics import Metrics
from serving.middleware.access import OPEN
from serving.record import Record, attach
from serving.replies import problem_response

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
UNKNOWN_ROUTE = "(none)"


class Requests:
    """Turns every error into an answer of the documented form, and notes every request."""

    def __init__(self, app: ASGIApp, log: Log, metrics: Metrics, paths: Collection[str], most: int):
        """``paths`` are those of the routes, ``most`` the requests that may be open at once (probes apart)."""
        self.app, self.log, self.metrics, self.paths, self.most = app, log, metrics, paths, most
        self.open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification."""
        if scope["type"] != "http":
            if scope["type"] != "websocket":  # which are not served; closing the connection says so
                await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        # An id of another form could be anything, and would end up in the log.
        record = Record(given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex)
        attach(scope, record)
        status = 0

        async def respond(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", record.request_id.encode())]
                headers.append((b"server-timing", _timing(record, time.perf_counter() - began)))
                message = {**message, "headers": headers}
            await send(message)

        self.open += 1
        try:
            if self.open > self.most and scope["path"] not in OPEN:
                raise Overloaded(f"{self.most} requests are open already; send this one again later", retry_after=1)
            await self.app(scope, receive, respond)
        except Exception as error:
            problem = problem_of(error)
            record.error = problem.code
            if problem.status >= 500:
                record.fault = fault(error)
            if status or isinstance(error, CallerGone):
                status = problem.status  # nobody is there to be told, or half an answer is out
            else:
                await problem_response(problem, scope)(scope, receive, respond)
        finally:
            self.open -= 1
            # What was refused before it came to its route has none.
            known: str = scope["path"] if scope["path"] in self.paths else UNKNOWN_ROUTE
            record.route = str(getattr(scope.get("route"), "path", known))
            seconds = time.perf_counter() - began
            self.metrics.request(record.route, status, seconds)
            tell = self.log.error if status >= 500 else self.log.info
            tell("request", method=scope["method"], status=status, ms=round(seconds * 1000, 2), **record.fields())


def _timing(record: Record, total: float) -> bytes:
    """The header Server-Timing (W3C), in milliseconds; steps of a batch are sums."""
    steps = {**record.steps, "total": total}
    return ", ".join(f"{step};dur={seconds * 1000:.2f}" for step, seconds in steps.items()).encode()
