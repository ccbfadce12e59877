"""Reads the whole body before the route runs: bounded in size and time, plain JSON only."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import BodyTooLarge, CallerGone, SlowBody, UnsupportedMedia

_WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}


class BodyLimit:
    """Refuses a body above ``limit`` bytes, slower than ``seconds``, compressed, or of another type than JSON."""

    def __init__(self, app: ASGIApp, limit: int, seconds: float):
        self.app, self.limit, self.seconds = app, limit, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification. Raises ServiceErrors, which the outermost middleware answers."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self.app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        announced = headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced[:20]) > self.limit:
            raise self._too_large()
        if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
            raise UnsupportedMedia("compressed bodies are not read; send plain JSON without Content-Encoding")
        try:
            async with asyncio.timeout(self.seconds):
                body = await self._read(receive)
        except TimeoutError:
            raise SlowBody(f"the body did not arrive within {self.seconds:g} s") from None
        if body and headers.get(b"content-type", b"").split(b";")[0].strip().lower() != b"application/json":
            raise UnsupportedMedia("send JSON, with the header Content-Type: application/json")
        begun = False

        async def replay() -> Message:
            nonlocal begun
            if begun:
                return await receive()
            begun = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise CallerGone("the caller hung up while sending")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.limit:
                raise self._too_large()
            if not message.get("more_body", False):
                return b"".join(parts)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"the body is larger than {self.limit:,} bytes; send fewer texts at once")
