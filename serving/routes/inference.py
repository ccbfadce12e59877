"""The Open Inference Protocol, version 2, so that KServe-style clients work unchanged.

One BYTES input of texts; the outputs have one entry a text: ``classification`` (the whole
answer of /v1/classify as JSON), and its main fields for clients that cannot read it.
Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from model.errors import InvalidInput
from serving.batching import BATCH, SINGLE
from serving.bundle import Answer, Case
from serving.errors import InvalidRequest, NotFound
from serving.examples import INFER_EXAMPLES, INFER_REPLY, infer_errors
from serving.record import record_of
from serving.replies import json_response
from serving.routes.json_route import JsonRoute, hung_up, service_of
from serving.schemas import InferRequest
from serving.service import Service
from serving.wire import dumps

NAME, INPUT = "kesu", "text"
router = APIRouter(prefix="/v2", tags=["open inference protocol"], route_class=JsonRoute)

# Name → (datatype, value of one answer).
OUTPUTS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "classification": ("BYTES", lambda body: dumps(body).decode()),
    "causes": ("BYTES", lambda body: ";".join(cause["label"] for cause in body["causes"])),
    "motives": ("BYTES", lambda body: ";".join(motive["label"] for motive in body["motives"])),
    "severity": ("INT64", lambda body: body["severity"]["level"]),
    "style": ("BYTES", lambda body: body["style"]["label"]),
    "confidence": ("FP64", lambda body: body["confidence"]),
    "decision": ("BYTES", lambda body: body["decision"]),
}


@router.get("", summary="The server")
async def server(request: Request) -> Response:
    """Name, version, extensions."""
    return json_response({"name": NAME, "version": service_of(request).identity()["version"], "extensions": []})


@router.get("/health/live", summary="Is the process alive?", responses=infer_errors(503))
async def live(request: Request) -> Response:
    """As /healthz."""
    stalled = service_of(request).batcher.stalled
    return json_response({"live": not stalled}, 503 if stalled else 200)


@router.get("/health/ready", summary="May requests be sent?", responses=infer_errors(503))
async def ready(request: Request) -> Response:
    """As /readyz."""
    reason = service_of(request).unready()
    return json_response({"ready": reason is None}, 503 if reason else 200)


@router.get("/models/{model}", summary="The model's inputs and outputs", responses=infer_errors(401, 404))
async def metadata(model: str, request: Request) -> Response:
    """Tensors in and out."""
    return json_response(_metadata(_service(model, request)))


@router.get("/models/{model}/versions/{version}", summary="The same, of a version", responses=infer_errors(401, 404))
async def version_metadata(model: str, version: str, request: Request) -> Response:
    """Tensors in and out; there is one version, the one that answers."""
    return json_response(_metadata(_service(model, request, version)))


@router.get("/models/{model}/ready", summary="May this model be asked?", responses=infer_errors(401, 404, 503))
async def model_ready(model: str, request: Request) -> Response:
    """As /readyz."""
    return _readiness(_service(model, request))


@router.get(
    "/models/{model}/versions/{version}/ready",
    summary="May this version be asked?",
    responses=infer_errors(401, 404, 503),
)
async def version_ready(model: str, version: str, request: Request) -> Response:
    """As /readyz."""
    return _readiness(_service(model, request, version))


_INFER: dict[str, Any] = {
    "responses": {200: {"content": INFER_REPLY}, **infer_errors(400, 401, 404, 408, 413, 415, 422, 429, 500, 503, 504)},
    "openapi_extra": {"requestBody": {"content": INFER_EXAMPLES}},
}


@router.post("/models/{model}/infer", summary="Label texts", **_INFER)
async def infer(model: str, body: InferRequest, request: Request) -> Response:
    """Send one BYTES tensor of texts; the first text that cannot be answered fails the request and is named."""
    return await _infer(_service(model, request), body, request)


@router.post("/models/{model}/versions/{version}/infer", summary="Label texts by this version", **_INFER)
async def version_infer(model: str, version: str, body: InferRequest, request: Request) -> Response:
    """As without the version, which must be the one that answers."""
    return await _infer(_service(model, request, version), body, request)


def _metadata(service: Service) -> dict[str, Any]:
    return {
        "name": NAME,
        "versions": [service.identity()["version"]],
        "platform": "onnxruntime_int8",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, (kind, _) in OUTPUTS.items()],
    }


def _readiness(service: Service) -> Response:
    reason = service.unready()
    return json_response({"name": NAME, "ready": reason is None}, 503 if reason else 200)


async def _infer(service: Service, body: InferRequest, request: Request) -> Response:
    wanted = list(OUTPUTS) if body.outputs is None else [output.name for output in body.outputs]
    if unknown := set(wanted) - set(OUTPUTS):
        raise InvalidRequest(f"outputs: unknown {sorted(unknown)[0][:64]!r}; known are {', '.join(OUTPUTS)}")
    texts = _texts(body, service.settings.batch_items)
    lane = SINGLE if len(texts) == 1 else BATCH
    cases = [Case(text) for text in texts]
    found = await service.answer(cases, record_of(request.scope), functools.partial(hung_up, request), lane)
    answers = []
    for place, answer in enumerate(found):
        if not isinstance(answer, Answer):
            raise InvalidRequest(f"text {place}: {answer}") if isinstance(answer, InvalidInput) else answer
        answers.append(answer.to_dict())
    return json_response(tensors(service.identity()["version"], body.id, wanted, answers))


def tensors(version: str, identity: str | None, wanted: list[str], answers: list[dict[str, Any]]) -> dict[str, Any]:
    """The reply: one tensor an output asked for, one entry a text."""
    reply: dict[str, Any] = {"model_name": NAME, "model_version": version}
    if identity is not None:
        reply["id"] = identity
    reply["outputs"] = [
        {"name": name, "datatype": kind, "shape": [len(answers)], "data": [value(answer) for answer in answers]}
        for name, (kind, value) in ((name, OUTPUTS[name]) for name in wanted)
    ]
    return reply


def _service(model: str, request: Request, version: str | None = None) -> Service:
    if model != NAME:
        raise NotFound(f"no such model; this server has {NAME!r}")
    service = service_of(request)
    answering = service.identity()["version"]
    if version is not None and version != answering:
        raise NotFound(f"no such version of {NAME}; this server has {answering!r}")
    return service


def _texts(body: InferRequest, limit: int) -> list[Any]:
    if len(body.inputs) != 1:
        raise InvalidRequest(f"inputs: send one tensor of texts, not {len(body.inputs)}")
    tensor = body.inputs[0]
    if tensor.datatype != "BYTES":
        raise InvalidRequest("inputs.0.datatype: expected BYTES")
    rows = len(tensor.data)
    if tensor.shape not in ([rows], [rows, 1]):
        raise InvalidRequest(f"inputs.0.shape: expected [{rows}] for {rows} texts in data")
    if not 1 <= rows <= limit:
        raise InvalidRequest(f"inputs.0.data: send 1 to {limit} texts, not {rows}")
    # Some clients send a column [n, 1] as nested lists.
    return [row[0] if isinstance(row, list) and len(row) == 1 else row for row in tensor.data]
