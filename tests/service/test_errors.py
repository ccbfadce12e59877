"""Whatever is sent, the caller is told what is wrong, and never with a 5xx."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.schemas import ErrorReply
from tests.service.conftest import Start
from tests.toys import LOST_PARCEL

JSON = {"Content-Type": "application/json"}
DEEP = b'{"text": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 422, "invalid_request"),
        (b"{", 400, "malformed_body"),
        (b"\xff\xfe{}", 400, "malformed_body"),
        ('{"text": "坏了"}'.encode("gb18030"), 400, "malformed_body"),
        (DEEP, 400, "malformed_body"),
        (b'{"text": "\\ud800"' + DEEP[9:], 400, "malformed_body"),
        (b'{"text": "\\ud800", "id": ' + b"9" * 5000 + b"}", 400, "malformed_body"),
        (b"[]", 422, "invalid_request"),
        (b"null", 422, "invalid_request"),
        (b"{}", 422, "invalid_request"),
        (body(text=None), 422, "invalid_text"),
        (body(text=7), 422, "invalid_text"),
        (body(text=["坏"]), 422, "invalid_text"),
        (body(text=" \u200b\t"), 422, "invalid_text"),
        (body(text="😡😡！！"), 422, "invalid_text"),
        (body(text="坏\0了"), 422, "invalid_text"),
        (body(text="坏" * 100_001), 422, "invalid_text"),
        (body(text="坏了", id=""), 422, "invalid_request"),
        (body(text="坏了", id=True), 422, "invalid_request"),
        (body(text="坏了", id=2**63), 422, "invalid_request"),
        (body(text="坏了", id={"a": 1}), 422, "invalid_request"),
        (body(text="坏了", explain="yes"), 422, "invalid_request"),
        (body(text="坏了", explian=True), 422, "invalid_request"),
        (body(text="坏了", received_at="gestern"), 422, "invalid_request"),
        (body(text="坏了", received_at=1777777777), 422, "invalid_request"),
        (body(text="坏了", received_at="0001-01-01T00:00:00"), 422, "invalid_request"),
        (body(text="坏了", received_at="9999-12-31T23:59:59-12:00"), 422, "invalid_request"),
        (body(text="坏了", history={"open_days": -1}), 422, "invalid_request"),
        (body(text="坏了", history={"open_days": 1.5}), 422, "invalid_request"),
        (body(text="坏了", history=[]), 422, "invalid_request"),
        (body(text="坏了", channel="电" * 65), 422, "invalid_request"),
        (body(text="坏了", channel="\ud800"), 422, "invalid_request"),
        (b'{"text": "x", "\\ud800": 1}', 422, "invalid_request"),
    ],
)
def test_classify_bad_body_is_told(client: TestClient, content: bytes, status: int, code: str) -> None:
    reply = client.post("/v1/classify", content=content, headers=JSON)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    error = ErrorReply.model_validate(reply.json()).error
    assert error.request_id == reply.headers["x-request-id"]
    assert "坏" not in error.message


@pytest.mark.parametrize("identity", [1.5, True, "", "x" * 201, 2**53, None, []])
def test_classify_error_about_the_id_names_the_field(client: TestClient, identity: object) -> None:
    reply = client.post("/v1/classify", content=body(text="坏了", id=identity), headers=JSON)
    if identity is None:
        assert reply.status_code == 200
        return
    (detail,) = reply.json()["error"]["details"]
    assert detail["field"] == "id"
    assert "1 to 200 characters" in detail["message"]


@pytest.mark.parametrize(
    "text", ["坏了\ud83d，要求赔", "😡坏了", "a" * 99_999 + "坏", "<s>坏</s>", "١٢٣", "\u202e坏了"]
)
def test_classify_odd_text_is_answered(client: TestClient, text: str) -> None:
    reply = client.post("/v1/classify", content=body(text=text, explain=True), headers=JSON)
    assert reply.status_code == 200, reply.text


def test_classify_body_above_the_limit_is_refused(start: Start) -> None:
    client = start(body_bytes=2000)
    for content in (b"x" * 2001, iter([b"x" * 1500, b"x" * 1500])):  # announced, and chunked
        reply = client.post("/v1/classify", content=content, headers=JSON)
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")
        assert "2,000" in reply.json()["error"]["message"]


def test_classify_other_types_and_encodings_are_refused(client: TestClient) -> None:
    plain = body(text=LOST_PARCEL)
    for content, headers in (
        (plain, {"Content-Type": "text/plain"}),
        (plain, {"Content-Type": "application/x-www-form-urlencoded"}),
        (plain, {}),
        (gzip.compress(plain), {**JSON, "Content-Encoding": "gzip"}),
    ):
        reply = client.post("/v1/classify", content=content, headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (415, "unsupported_media")
    charset = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert client.post("/v1/classify", content=plain, headers=charset).status_code == 200


def test_unknown_paths_and_methods_have_the_documented_form(client: TestClient) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/v1/classify", 405),
        ("PUT", "/v1/classify", 405),
        ("POST", "/v1/classify/", 404),
    ):
        reply = client.request(method, path)
        assert reply.status_code == status
        ErrorReply.model_validate(reply.json())
    assert client.get("/v2/models/other").json() == {"error": "no such model; this server has 'kesu'"}


def test_request_id_of_another_form_is_not_repeated(client: TestClient) -> None:
    for given_id in ("a b", "x" * 129, "坏".encode()):
        reply = client.get("/healthz", headers={"X-Request-ID": given_id})
        assert uuid.UUID(reply.headers["x-request-id"])
