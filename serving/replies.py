"""JSON responses, and errors in the form that each API promises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fastapi import Response
from starlette.types import Scope

from serving.errors import Problem
from serving.record import record_of
from serving.wire import dumps

JSON = "application/json"


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """``body`` as JSON, not checked again: what is sent is built by us."""
    return Response(dumps(body), status, headers, JSON)


def problem_response(problem: Problem, scope: Scope) -> Response:
    """An error: ``{"error": {code, message, ...}}``, or under /v2 the sentence alone, as its protocol wants."""
    headers = {} if problem.retry_after is None else {"Retry-After": str(math.ceil(problem.retry_after))}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    record = record_of(scope)
    record.error = problem.code
    if scope["path"].startswith("/v2"):
        return json_response({"error": problem.message}, problem.status, headers)
    return json_response({"error": problem.to_dict(record.request_id)}, problem.status, headers)
