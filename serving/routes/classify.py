"""``POST /v1/classify`` and ``/v1/classify/batch``."""

from __future__ import annotations

import functools
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from serving.answers import BatchReply, ClassifyReply
from serving.batching import BATCH
from serving.bundle import Answer, Case
from serving.errors import InvalidRequest, problem_of
from serving.examples import BATCH_EXAMPLES, BATCH_REPLY, CLASSIFY_EXAMPLES, CLASSIFY_REPLY, errors
from serving.record import record_of
from serving.replies import json_response
from serving.routes.json_route import JsonRoute, hung_up, service_of
from serving.schemas import BatchRequest, ClassifyRequest
from serving.service import showable
from serving.validation import explained

router = APIRouter(prefix="/v1", tags=["classify"], route_class=JsonRoute)
_COMMON = (400, 401, 408, 413, 415, 422, 429, 500, 503, 504)


@router.post(
    "/classify",
    summary="Label one complaint and plan its handling",
    responses={200: {"model": ClassifyReply, "content": CLASSIFY_REPLY}, **errors(*_COMMON)},
    openapi_extra={"requestBody": {"content": CLASSIFY_EXAMPLES}},
)
async def classify(body: ClassifyRequest, request: Request) -> Response:
    """Causes, motives, severity, style, confidence, a decision, and what to do next.

    The same text always gets the same answer, alone or in a batch. The times of each step
    come back in the header `Server-Timing`.
    """
    record = record_of(request.scope)
    case = body.case(record.request_id)
    (found,) = await service_of(request).answer([case], record, functools.partial(hung_up, request))
    if isinstance(found, Exception):
        try:
            raise found
        finally:
            del found  # its traceback knows this frame, which must not know it: a circle that would keep the text
    return json_response(found.to_dict(case.id), headers={"X-Kesu-Id": showable(case.id)})


@router.post(
    "/classify/batch",
    summary="Label up to 256 complaints",
    responses={200: {"model": BatchReply, "content": BATCH_REPLY}, **errors(*_COMMON)},
    openapi_extra={"requestBody": {"content": BATCH_EXAMPLES}},
)
async def classify_batch(body: BatchRequest, request: Request) -> Response:
    """Answers in the order of the items; an item that cannot be answered has an `error` of its own in its place."""
    service, record = service_of(request), record_of(request.scope)
    limit = service.settings.batch_items
    if not 1 <= len(body.items) <= limit:
        raise InvalidRequest(f"items: send 1 to {limit} items, not {len(body.items)}")
    parsed = [_parsed(item, f"{record.request_id}-{place}") for place, item in enumerate(body.items)]
    cases = [case for case in parsed if isinstance(case, Case)]
    found = iter(await service.answer(cases, record, functools.partial(hung_up, request), BATCH) if cases else ())
    results: list[dict[str, Any]] = []
    for item, case in zip(body.items, parsed, strict=True):
        if isinstance(case, Case):
            answer = next(found)
            results.append(answer.to_dict(case.id) if isinstance(answer, Answer) else failed(answer, case.id))
        else:
            results.append(failed(case, _id(item)))
    record.error = next((result["error"]["code"] for result in results if "error" in result), "")
    faults = [result["status"] for result in results if result.get("status", 0) >= 500]
    # Nothing but faults of ours: the caller should try the whole again.
    return json_response({"results": results}, faults[0] if len(faults) == len(results) else 200)


def _parsed(item: Any, made_up: str) -> Case | InvalidRequest:
    try:
        return ClassifyRequest.model_validate(item).case(made_up)
    except ValidationError as error:
        return explained(error.errors(include_url=False, include_context=False, include_input=False))


def _id(item: Any) -> str | int | None:
    identity = item.get("id") if isinstance(item, dict) else None
    return identity if isinstance(identity, (str, int)) and not isinstance(identity, bool) else None


def failed(error: Exception, identity: str | int | None) -> dict[str, Any]:
    """What stands in the place of an item that got no answer."""
    problem = problem_of(error)
    return {"id": identity, "status": problem.status, "error": problem.to_dict()}
