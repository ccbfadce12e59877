"""pydantic's complaints about a request, told without repeating what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serving.errors import InvalidRequest

MAX_DETAILS = 8
# A field's name is the caller's own, of any length.
_NAME_LENGTH = 64


def explained(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """The error to answer with; it names the fields."""
    details = tuple({"field": _field(error["loc"]), "message": str(error["msg"])} for error in errors[:MAX_DETAILS])
    first = details[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    where = f"{first['field']}: " if first["field"] else ""
    return InvalidRequest(f"{where}{first['message']}{more}", details)


def _field(place: Sequence[Any]) -> str:
    parts = [str(part)[:_NAME_LENGTH] for part in place if part != "body"]
    return ".".join(parts)
