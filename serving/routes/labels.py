"""What the answers are made of: labels, strategies, the model."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Request, Response

from model.intake import MAX_CHARACTERS
from model.taxonomy import Label
from serving.answers import ModelFacts
from serving.bundle import Bundle
from serving.examples import errors
from serving.replies import json_response
from serving.routes.json_route import service_of
from serving.strategies import listed

router = APIRouter(prefix="/v1", tags=["labels"])


@router.get("/taxonomy", summary="All labels with names and definitions", responses=errors(401))
async def taxonomy(request: Request) -> Response:
    """Groups, causes, motives, severities and styles, in the order of the model's outputs."""
    labels = service_of(request).bundle.classifier.taxonomy
    sections = {name: [_label(label) for label in getattr(labels, name)] for name in SECTIONS}
    return json_response({"version": labels.version, **sections})


SECTIONS = ("groups", "causes", "motives", "severities", "styles")


def _label(label: Label) -> dict[str, Any]:
    told = {"id": label.id, "zh": label.zh, "en": label.en, "definition": label.definition}
    return told | {"group": label.group} if label.group else told


@router.get("/strategies", summary="All strategies of the playbook", responses=errors(401))
async def strategies(request: Request) -> Response:
    """Every strategy with the cases it is for, and the version of the playbook."""
    return json_response(listed(service_of(request).bundle.book))


@router.get("/model", summary="What answers, and its limits", responses={200: {"model": ModelFacts}, **errors(401)})
async def model(request: Request) -> Response:
    """Names, versions, thresholds and limits."""
    service = service_of(request)
    bundle: Bundle = service.bundle
    settings, decoding = service.settings, bundle.classifier.decoding
    facts = ModelFacts(
        **service.identity(),
        loaded_at=bundle.loaded_at.isoformat(timespec="seconds"),
        max_tokens=decoding.max_tokens,
        auto_confidence=decoding.auto_confidence,
        suggest_confidence=decoding.suggest_confidence,
        max_characters=MAX_CHARACTERS,
        max_batch_items=settings.batch_items,
        max_body_bytes=settings.body_bytes,
        kesu_version=_version(),
    )
    return json_response(facts.model_dump())


def _version() -> str:
    try:
        return version("kesu")
    except PackageNotFoundError:
        return "unknown"
