"""Lets in who has a key; before the body is read, so that strangers cost nothing."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.record import record_of
from serving.security import Guard

# Probes carry no key, and the documentation tells nothing about anyone's complaints.
OPEN = frozenset(
    {"/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json", "/docs/oauth2-redirect"}
)
_ADMIN = "/v1/admin/"


class Access:
    """Finds the caller's name by its key, and guards the administration."""

    def __init__(self, app: ASGIApp, guard: Guard):
        self.app, self.guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the ASGI specification. Raises Unauthorised and Forbidden, which the outermost middleware answers."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            record = record_of(scope)
            record.key = self.guard.name_of(*_keys(dict(scope["headers"])))
            if scope["path"].startswith(_ADMIN):
                client = scope.get("client")
                self.guard.check_admin(record.key, client[0] if client else None)
        await self.app(scope, receive, send)


def _keys(headers: dict[bytes, bytes]) -> list[str]:
    """What may be a key: a gateway in between may have put a token of its own beside the caller's."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    found = [headers.get(b"x-api-key", b""), token.strip() if scheme.lower() == b"bearer" else b""]
    return [key.decode("latin-1") for key in found if key]
