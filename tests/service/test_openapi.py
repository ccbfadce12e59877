"""The committed OpenAPI document is the code's."""

from __future__ import annotations

import json
import re

from fastapi.testclient import TestClient

from serving.answers import BatchReply, ClassifyReply
from serving.examples import BATCH, TICKET, answers
from serving.openapi import PATH, render
from serving.schemas import BatchRequest, ClassifyRequest


def test_document_is_the_committed_one(client: TestClient) -> None:
    assert render() == PATH.read_text(encoding="utf-8"), "run: python -m serving.openapi"
    assert client.get("/openapi.json").json() == json.loads(render())


def test_document_refers_only_to_what_it_holds() -> None:
    text = PATH.read_text(encoding="utf-8")
    schemas = json.loads(text)["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) == set(schemas)


def test_examples_are_of_the_documented_form() -> None:
    ClassifyRequest.model_validate(TICKET)
    BatchRequest.model_validate(BATCH)
    if answers():
        ClassifyReply.model_validate(answers()["ticket"])
        BatchReply.model_validate(answers()["batch"])
