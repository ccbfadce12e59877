"""Who may call what."""

from __future__ import annotations

import pytest

from serving.errors import RateLimited
from serving.security import Shares, hash_key, is_loopback, new_key
from tests.service.conftest import Start
from tests.toys import LOST_PARCEL

KEYS = {"tickets": hash_key("one"), "operator": hash_key("two")}
ONE = {"text": LOST_PARCEL}


def test_without_a_known_key_nothing_but_probes_and_docs_is_open(start: Start) -> None:
    client = start(api_keys=KEYS)
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200
    for headers in ({}, {"Authorization": "Bearer three"}, {"X-API-Key": b"\xff"}, {"Authorization": "Basic b25l"}):
        for path in ("/v1/taxonomy", "/v1/model", "/metrics", "/v2/models/kesu", "/nothing"):
            reply = client.get(path, headers=headers)
            assert reply.status_code == 401
            assert reply.headers["www-authenticate"] == "Bearer"
        # Refused before the body is read.
        assert client.post("/v1/classify", content=b"x" * 2_000_000, headers=headers).status_code == 401
    for headers in ({"Authorization": "Bearer one"}, {"X-API-Key": "two"}):
        assert client.post("/v1/classify", json=ONE, headers=headers).status_code == 200


@pytest.mark.parametrize("token", ["Bearer jwt.of.a.gateway", "Bearer ", "Bearer one", "Basic b25l"])
def test_a_token_of_a_gateway_beside_the_key_does_no_harm(start: Start, token: str) -> None:
    client = start(api_keys=KEYS, admin_keys={"operator"})
    headers = {"Authorization": token, "X-API-Key": "two"}
    assert client.post("/v1/admin/reload", headers=headers).status_code == 200
    if token != "Bearer one":
        assert client.get("/v1/taxonomy", headers=headers | {"X-API-Key": "three"}).status_code == 401


def test_only_named_keys_may_administer(start: Start) -> None:
    client = start(api_keys=KEYS, admin_keys={"operator"})
    assert client.post("/v1/admin/reload", headers={"X-API-Key": "one"}).status_code == 403
    assert client.post("/v1/admin/reload", headers={"X-API-Key": "two"}).status_code == 200


def test_without_keys_only_this_machine_may_administer(start: Start) -> None:
    client = start(insecure=True)
    assert client.post("/v1/admin/reload").status_code == 200
    client._transport.client = ("192.0.2.1", 1)  # type: ignore[attr-defined]
    assert client.post("/v1/admin/reload").status_code == 403
    assert client.post("/v1/classify", json=ONE).status_code == 200


def test_each_key_has_a_share_of_its_own(start: Start) -> None:
    client = start(api_keys=KEYS, texts_per_second=0.001, burst_texts=2)
    codes = [client.post("/v1/classify", json=ONE, headers={"X-API-Key": "one"}).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    reply = client.post("/v1/classify", json=ONE, headers={"X-API-Key": "one"})
    assert reply.json()["error"]["code"] == "rate_limited"
    assert int(reply.headers["retry-after"]) > 1
    assert client.post("/v1/classify", json=ONE, headers={"X-API-Key": "two"}).status_code == 200


def test_shares_a_batch_above_the_burst_is_let_in_and_paid_for() -> None:
    now = 0.0
    shares = Shares(10, 5, lambda: now)
    shares.charge("a", 25)
    with pytest.raises(RateLimited) as refused:
        shares.charge("a", 1)
    assert refused.value.retry_after == 3
    now = 2.2
    shares.charge("a", 1)


def test_shares_refund_leaves_the_share_as_it_was() -> None:
    shares = Shares(10, 5, lambda: 0.0)
    for _ in range(3):
        shares.charge("a", 25)
        shares.refund("a", 25)
    shares.charge("a", 5)
    with pytest.raises(RateLimited):
        shares.charge("a", 1)
    unlimited = Shares(None, 5)
    unlimited.charge("a", 25)
    unlimited.refund("a", 25)


def test_keys_are_long_and_only_their_hashes_are_told() -> None:
    assert new_key() != new_key()
    assert len(hash_key(new_key())) == 64


@pytest.mark.parametrize(
    ("host", "yes"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.0.2.1", False), ("example.org", False), ("", False), (None, False)],
)  # fmt: skip
def test_is_loopback(host: str | None, yes: bool) -> None:
    assert is_loopback(host) is yes
