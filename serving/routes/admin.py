"""Administration."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from serving.examples import errors
from serving.replies import json_response
from serving.routes.json_route import service_of

router = APIRouter(prefix="/v1/admin", tags=["operation"])


@router.post("/reload", summary="Load model, rules and playbook again", responses=errors(401, 403, 409))
async def reload(request: Request) -> Response:
    """Switches only to what passes its self-check; no request fails meanwhile. SIGHUP does the same."""
    return json_response({"model": await service_of(request).reload()})
