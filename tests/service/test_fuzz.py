"""Whatever is sent to whichever route, the answer is quick and below 500.

A few hundred inputs a run; ``KESU_FUZZ_INPUTS=20000 pytest tests/service/test_fuzz.py`` for the long one.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from typing import Any
from urllib.parse import quote

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.openapi import render
from tests.toys import LOST_PARCEL

INPUTS = int(os.environ.get("KESU_FUZZ_INPUTS", "600"))
# No answer takes this long, not even that to a megabyte on a busy machine; a hang does.
PATIENCE = 60.0
QUIET = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates, NUL, emoji and all
LONG_TEXT = st.builds(lambda part, times: part * times, st.sampled_from(["坏", "a", "😡", "\ud800", "\0", "坏了，"]),
                      st.sampled_from([1_000, 33_000, 100_000, 100_001, 350_000]))  # fmt: skip
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
JUNK = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
TEXT = ANY_TEXT | st.just(LOST_PARCEL) | JUNK
ITEM = st.fixed_dictionaries(
    {"text": TEXT},
    optional={
        **dict.fromkeys(("id", "channel", "industry", "received_at", "history"), JUNK),
        "explain": st.booleans() | JUNK,
    },
)
TENSOR = st.fixed_dictionaries(
    {"name": st.just("text") | JUNK, "datatype": st.just("BYTES") | JUNK, "shape": st.lists(st.integers()) | JUNK,
     "data": st.lists(TEXT, max_size=4) | JUNK}
)  # fmt: skip
DOCUMENT = st.one_of(
    ITEM,
    st.fixed_dictionaries({"items": st.lists(ITEM | JUNK, max_size=6) | JUNK}),
    st.fixed_dictionaries({"inputs": st.lists(TENSOR | JUNK, max_size=3) | JUNK}, optional={"id": JUNK}),
    JUNK,
)
DEEP = st.builds(lambda mark, depth: b'{"text": ' + mark * depth, st.sampled_from([b"[", b'{"a":', b"[["]),
                 st.sampled_from([10, 1_000, 100_000]))  # fmt: skip
CONTENT = st.one_of(
    DOCUMENT.map(lambda found: json.dumps(found).encode()),
    DOCUMENT.map(lambda found: json.dumps(found).encode()[:-1]),
    LONG_TEXT.map(lambda text: json.dumps({"text": text}).encode()),
    LONG_TEXT.map(lambda text: json.dumps({"text": text}, ensure_ascii=False).encode(errors="surrogatepass")),
    ITEM.map(lambda found: gzip.compress(json.dumps(found).encode())),
    st.binary(max_size=200),
    DEEP,
)
HEADERS = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(["application/json"] * 6 + ["text/plain", "application/json; charset=gbk", ""])},
    optional={
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "br", "identity"]),
        "X-API-Key": st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), max_size=40),
        "X-Request-ID": st.text(st.characters(codec="ascii", exclude_characters="\r\n\0"), max_size=140),
        "Inference-Header-Content-Length": st.sampled_from(["5", "-1", "x"]),
    },
)
ROUTES = st.sampled_from(
    ["/v1/classify"] * 4 + ["/v1/classify/batch"] * 3 + ["/v2/models/kesu/infer"] * 3
    + ["/v1/admin/reload", "/v1/taxonomy", "/v1/strategies", "/v1/model", "/healthz", "/metrics", "/v2/models/kesu"]
) | ANY_TEXT.map(lambda text: "/" + quote(text, errors="replace"))  # fmt: skip
METHODS = st.sampled_from(["POST"] * 8 + ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])


@settings(QUIET, max_examples=INPUTS)
@given(method=METHODS, route=ROUTES, content=CONTENT, headers=HEADERS)
def test_any_request_gets_a_quick_answer_below_500(
    client: TestClient, method: str, route: str, content: bytes, headers: dict[str, str]
) -> None:
    began = time.monotonic()
    reply = client.request(method, route, content=content, headers=headers)
    assert reply.status_code < 500, (method, route, reply.text)
    assert time.monotonic() - began < PATIENCE
    if reply.status_code >= 400 and method != "HEAD" and route.startswith("/v"):
        assert reply.json()["error"]


schema = schemathesis.openapi.from_dict(json.loads(render()))


@schema.parametrize()
@settings(QUIET, max_examples=max(20, INPUTS // 30))
def test_every_operation_answers_as_documented(case: Any, client: TestClient) -> None:
    sent = case.as_transport_kwargs(base_url="http://testserver")
    sent = {
        name: value for name, value in sent.items() if name in ("method", "url", "params", "json", "data", "headers")
    }
    if isinstance(sent.get("data"), bytes | str):
        sent["content"] = sent.pop("data")
    reply = client.request(**sent)
    case.validate_response(
        reply,
        checks=[not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance],
    )
