"""Who may call: API keys, of which only the hashes are kept, and each key's share of texts."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from serving.errors import Forbidden, RateLimited, Unauthorised

ANONYMOUS = "anonymous"


def is_loopback(host: str | None) -> bool:
    """Whether an address can only be reached from, or only stands for, this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def hash_key(key: str) -> str:
    """SHA-256 in hex. Enough for keys of 256 random bits, which nobody can guess; passwords would need more."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def new_key() -> str:
    """A key of 256 random bits."""
    return "kesu_" + secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Guard:
    """Known keys (name → hash) and the names that may administer. Without keys everyone is let in."""

    keys: Mapping[str, str]
    admins: frozenset[str]

    def name_of(self, *given: str) -> str:
        """Name of the first of ``given`` that is known, in the same time whichever it is. Raises Unauthorised."""
        if not self.keys:
            return ANONYMOUS
        if not given:
            raise Unauthorised("an API key is needed: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`")
        found = None
        for hashed in map(hash_key, reversed(given)):
            for name, known in self.keys.items():
                if hmac.compare_digest(hashed, known):
                    found = name
        if found is None:
            raise Unauthorised("the API key is not known")
        return found

    def check_admin(self, name: str, client: str | None) -> None:
        """Raises Forbidden unless ``name`` may administer; without keys only this machine may."""
        if self.keys:
            if name not in self.admins:
                raise Forbidden(f"the key {name!r} may not administer; add its name to admin_keys")
        elif not is_loopback(client):
            raise Forbidden("without API keys only this machine may administer; set api_keys and admin_keys")


class Shares:
    """Token bucket a key: ``rate`` texts a second, ``burst`` at once.

    A batch is let in when the bucket is not empty, and the bucket then owes the rest, so
    that a batch larger than ``burst`` is possible but paid for.
    """

    def __init__(self, rate: float | None, burst: int, clock: Callable[[], float] = time.monotonic):
        self._rate, self._burst, self._clock = rate, burst, clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def charge(self, name: str, texts: int) -> None:
        """Raises RateLimited when ``name`` has used up its share."""
        if self._rate is None:
            return
        now = self._clock()
        level, then = self._buckets.get(name, (float(self._burst), now))
        level = min(float(self._burst), level + (now - then) * self._rate)
        if level < 1:
            self._buckets[name] = level, now
            wait = math.ceil((1 - level) / self._rate)
            raise RateLimited(f"more than {self._rate:g} texts a second with this key", retry_after=max(1, wait))
        self._buckets[name] = level - texts, now

    def refund(self, name: str, texts: int) -> None:
        """Take back what ``charge`` took for texts that were refused after all."""
        if name in self._buckets:
            level, then = self._buckets[name]
            self._buckets[name] = level + texts, then
