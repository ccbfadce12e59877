"""Probes and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from serving.examples import errors
from serving.replies import json_response
from serving.routes.json_route import service_of

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="Is the process alive?", responses=errors(503))
async def healthz(request: Request) -> Response:
    """503 only when a restart is the remedy: every worker hangs."""
    if service_of(request).batcher.stalled:
        return json_response({"status": "stalled"}, 503)
    return json_response({"status": "ok"})


@router.get("/readyz", summary="May requests be sent?", responses=errors(503))
async def readyz(request: Request) -> Response:
    """503 while shutting down or when the model does not answer."""
    reason = service_of(request).unready()
    return json_response({"status": "ready"} if reason is None else {"status": reason}, 503 if reason else 200)


@router.get("/metrics", summary="Numbers for Prometheus", response_class=PlainTextResponse, responses=errors(401))
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(service_of(request).metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})
