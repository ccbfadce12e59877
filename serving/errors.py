"""The closed set of things that can go wrong while serving, and the HTTP status of each: nowhere else is one chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.errors import InvalidArtefact, InvalidInput, KesuError


class ServiceError(KesuError):
    """Base of the errors of the service. ``retry_after`` counts seconds, where waiting helps."""

    def __init__(self, message: str, *, retry_after: float | None = None):
        super().__init__(message)
        self.retry_after = retry_after


class MalformedBody(ServiceError):
    """The body is not JSON."""


class InvalidRequest(ServiceError):
    """JSON of another form than documented; ``details`` name the fields."""

    def __init__(self, message: str, details: tuple[dict[str, str], ...] = ()):
        super().__init__(message)
        self.details = details


class Unauthorised(ServiceError):
    """No API key, or an unknown one."""


class Forbidden(ServiceError):
    """A known key that may not do this."""


class NotFound(ServiceError):
    """No such path or model."""


class MethodNotAllowed(ServiceError):
    """The path exists, but not for this method."""


class SlowBody(ServiceError):
    """The body did not arrive in time."""


class ReloadRefused(ServiceError):
    """The new model or playbook failed its self-check; the old one goes on."""


class BodyTooLarge(ServiceError):
    """The body is above the limit."""


class UnsupportedMedia(ServiceError):
    """Another content type or encoding than plain JSON."""


class Overloaded(ServiceError):
    """The queue is full: refused at once, before any work."""


class RateLimited(ServiceError):
    """This key sent more texts than its share."""


class CallerGone(ServiceError):
    """The caller hung up; nobody will read the answer."""


class EngineFailed(ServiceError):
    """The model raised an error or gave no finite number."""


class QueueTimeout(ServiceError):
    """The request's time ran out before its turn came."""


class Stalled(ServiceError):
    """No worker answers any more; unless one comes back, only a restart helps."""


class EngineTimeout(ServiceError):
    """The model was at work on this text (and a few others) when the request's time ran out."""


# 499 is nginx's code for a caller who hung up; it is only ever seen in logs and metrics.
STATUS: dict[type[KesuError], tuple[int, str]] = {
    MalformedBody: (400, "malformed_body"),
    Unauthorised: (401, "unauthorised"),
    Forbidden: (403, "forbidden"),
    NotFound: (404, "not_found"),
    MethodNotAllowed: (405, "method_not_allowed"),
    SlowBody: (408, "slow_body"),
    ReloadRefused: (409, "reload_refused"),
    BodyTooLarge: (413, "body_too_large"),
    UnsupportedMedia: (415, "unsupported_media"),
    InvalidRequest: (422, "invalid_request"),
    InvalidInput: (422, "invalid_text"),
    Overloaded: (429, "overloaded"),
    RateLimited: (429, "rate_limited"),
    CallerGone: (499, "caller_gone"),
    EngineFailed: (500, "engine_failed"),
    InvalidArtefact: (500, "engine_failed"),
    QueueTimeout: (503, "queue_timeout"),
    Stalled: (503, "stalled"),
    EngineTimeout: (504, "engine_timeout"),
}
_FAULT = (500, "internal_error")
# What a stranger is told about a fault of ours: the details are for the log.
_HIDDEN = "kesu could not answer; the log tells more under this request id"


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as it is told to the caller."""

    status: int
    code: str
    message: str
    details: tuple[dict[str, str], ...] = ()
    retry_after: float | None = None

    def to_dict(self, request_id: str | None = None) -> dict[str, Any]:
        """The JSON form: ``code`` is stable, ``message`` is for people."""
        told: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            told["details"] = list(self.details)
        if request_id is not None:
            told["request_id"] = request_id
        return told


def problem_of(error: BaseException) -> Problem:
    """How an error is told. Anything outside the closed set is a fault of kesu: 500, without its message."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            status, code = STATUS[kind]
            break
    else:
        return Problem(*_FAULT, _HIDDEN)
    message = _HIDDEN if isinstance(error, InvalidArtefact) else str(error)
    return Problem(status, code, message, getattr(error, "details", ()), getattr(error, "retry_after", None))
