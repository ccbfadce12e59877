"""What is known of a request, for its log line and its headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from serving.security import ANONYMOUS

_KEY = "kesu.record"
# More texts than this are told by number only.
_HASHES = 4


@dataclass(slots=True)
class Record:
    """Filled along the way; holds no text, only lengths and hashes."""

    request_id: str
    key: str = ANONYMOUS
    route: str = ""
    ids: list[str] = field(default_factory=list)
    texts: int = 0
    characters: int = 0
    hashes: list[str] = field(default_factory=list)
    steps: dict[str, float] = field(default_factory=dict)
    error: str = ""
    fault: dict[str, str] = field(default_factory=dict)

    def add_text(self, length: int, digest: str, identity: str) -> None:
        """Note a text by length, hash and the caller's id."""
        self.texts += 1
        self.characters += length
        if len(self.hashes) < _HASHES:
            self.hashes.append(digest)
            if identity:
                self.ids.append(identity)

    def add_steps(self, steps: dict[str, float]) -> None:
        """Add seconds to the steps' sums."""
        for step, seconds in steps.items():
            self.steps[step] = self.steps.get(step, 0.0) + seconds

    def fields(self) -> dict[str, Any]:
        """For the log line."""
        told: dict[str, Any] = {"request_id": self.request_id, "key": self.key, "route": self.route}
        if self.texts:
            told |= {"texts": self.texts, "characters": self.characters, "hashes": self.hashes}
        if self.ids:
            told["ids"] = self.ids
        told |= {f"{step}_ms": round(seconds * 1000, 2) for step, seconds in self.steps.items()}
        if self.error:
            told["error_code"] = self.error
        return told | self.fault


def attach(scope: Any, record: Record) -> None:
    """Make ``record`` known to whatever handles the request."""
    scope[_KEY] = record


def record_of(scope: Any) -> Record:
    """The record of a request."""
    record: Record = scope[_KEY]
    return record
