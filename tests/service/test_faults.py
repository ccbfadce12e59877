"""A full queue, a poisoned engine, callers who go: the service answers, says why, and lives on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest
from fastapi.testclient import TestClient

from serving.bundle import Bundle, Case
from serving.pace import Pace
from serving.security import hash_key
from tests.service.conftest import Kept, Start
from tests.service.engines import PATIENCE, Gated, Picky, Poisoned
from tests.toys import LOST_PARCEL

ONE = {"text": LOST_PARCEL}


@pytest.fixture
def good(bundle: Bundle) -> Any:
    return bundle.classifier.engine


def test_overload_is_refused_with_429_and_what_was_taken_is_answered(start: Start, bundle: Bundle, good: Any) -> None:
    engine = Gated(good)
    client = start(
        engine=engine, threads=1, waiting_seconds=1.5 * bundle.cost(Case(LOST_PARCEL)) * Pace().seconds_per_token
    )
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(client.post, "/v1/classify", json=ONE)
        assert engine.begun.acquire(timeout=PATIENCE)
        time.sleep(0.1)  # longer than the first was expected to take
        rest = [pool.submit(client.post, "/v1/classify", json=ONE) for _ in range(11)]
        # One is being computed and two may wait; the other nine come back while the engine stands still.
        refused = [future for _, future in zip(range(9), as_completed(rest, PATIENCE), strict=False)]
        engine.gate.set()
        replies = [future.result(PATIENCE) for future in (first, *rest)]
    assert {future.result().status_code for future in refused} == {429}
    assert sorted(reply.status_code for reply in replies) == [200] * 3 + [429] * 9
    for reply in replies:
        if reply.status_code == 429:
            assert reply.json()["error"]["code"] == "overloaded"
            assert int(reply.headers["retry-after"]) >= 1


def test_more_requests_at_once_than_connections_are_refused_but_probes_are_not(start: Start, good: Any) -> None:
    engine = Gated(good)
    client = start(engine=engine, threads=1, connections=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/v1/classify", json=ONE)
        assert engine.begun.acquire(timeout=PATIENCE)
        second = client.post("/v1/classify", json=ONE)
        assert client.get("/healthz").status_code == 200
        engine.gate.set()
        assert first.result(PATIENCE).status_code == 200
    assert (second.status_code, second.json()["error"]["code"]) == (429, "overloaded")
    assert second.headers["retry-after"] == "1"
    assert client.post("/v1/classify", json=ONE).status_code == 200
    # Refused before its route was looked for, and counted under it all the same.
    page = client.get("/metrics").text
    assert 'kesu_requests_total{route="/v1/classify",status="429"} 1.0' in page


@pytest.mark.parametrize("fault", [RuntimeError(LOST_PARCEL), MemoryError(), "nan"])
def test_engine_fault_is_a_500_without_details_and_the_next_text_is_answered(
    start: Start, good: Any, log_stream: Kept, fault: Exception | str
) -> None:
    engine = Poisoned(good)
    client = start(engine=engine)
    engine.fault = fault
    reply = client.post("/v1/classify", json=ONE)
    assert reply.status_code == 500
    assert LOST_PARCEL not in reply.text
    batch = client.post("/v1/classify/batch", json={"items": [{"id": 1, **ONE}, {"id": 2, **ONE}]})
    assert batch.status_code == 500
    assert [item["status"] for item in batch.json()["results"]] == [500, 500]
    assert client.post("/v2/models/kesu/infer", json=tensor()).status_code == 500
    mixed = client.post("/v1/classify/batch", json={"items": [ONE, {"text": ""}]})
    assert (mixed.status_code, [item["status"] for item in mixed.json()["results"]]) == (200, [500, 422])
    engine.fault = None
    assert client.post("/v1/classify", json=ONE).status_code == 200


def test_a_text_that_the_engine_fails_on_takes_none_of_its_neighbours_along(start: Start, bundle: Bundle) -> None:
    texts = [f"{LOST_PARCEL}{'请处理。' * number}" for number in range(8)]
    lengths = [len(bundle.classifier.read(text).tokens.ids) for text in texts]
    assert len(set(lengths)) == len(texts)
    client = start(engine=Picky(bundle.classifier.engine, lengths[5]), threads=1)
    batch = client.post("/v1/classify/batch", json={"items": [{"text": text} for text in texts]}).json()
    found = [item.get("status", 200) for item in batch["results"]]
    assert found == [500 if place == 5 else 200 for place in range(len(texts))]


def tensor() -> dict[str, Any]:
    return {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": [LOST_PARCEL]}]}


def test_sleeping_engine_is_a_504_then_503_and_the_probes_say_so(start: Start, good: Any) -> None:
    engine = Gated(good)
    client = start(engine=engine, threads=1, text_seconds=0.2)
    assert client.post("/v1/classify", json=ONE).status_code == 504
    codes = [client.post("/v1/classify", json=ONE).status_code for _ in range(6)]
    assert set(codes) <= {503, 504}
    assert codes[-1] == 503
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/v2/models/kesu/ready"):
        assert client.get(path).status_code == 503
    engine.gate.set()
    end = time.monotonic() + PATIENCE
    while client.get("/healthz").status_code != 200 and time.monotonic() < end:
        time.sleep(0.01)
    assert client.get("/readyz").status_code == 200
    assert client.post("/v1/classify", json=ONE).status_code != 503


def test_worker_is_not_lost_while_a_batch_may_wait_for_it(start: Start, good: Any) -> None:
    engine = Gated(good)
    client = start(engine=engine, threads=1, text_seconds=0.01, batch_seconds=2 * PATIENCE)
    app: Any = client.app
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(client.post, "/v1/classify/batch", json={"items": [ONE]})
        assert engine.begun.acquire(timeout=PATIENCE)
        time.sleep(0.05)
        health, lost = client.get("/healthz").status_code, set(app.state.service.batcher._lost)
        engine.gate.set()
        assert "error" not in batch.result(PATIENCE).json()["results"][0]
    assert (health, lost) == (200, set())


def test_what_is_refused_as_overload_is_not_charged_to_the_key(start: Start, good: Any) -> None:
    engine = Gated(good)
    keys = {"one": hash_key("one"), "two": hash_key("two")}
    client = start(
        engine=engine, threads=1, waiting_batch_seconds=1e-9, api_keys=keys, texts_per_second=1e-6, burst_texts=2
    )
    app: Any = client.app

    def batch(key: str) -> Any:
        return client.post("/v1/classify/batch", json={"items": [ONE] * 3}, headers={"X-API-Key": key})

    with ThreadPoolExecutor(2) as pool:
        busy = pool.submit(client.post, "/v1/classify", json=ONE, headers={"X-API-Key": "two"})
        assert engine.begun.acquire(timeout=PATIENCE)
        waiting = pool.submit(batch, "two")
        end = time.monotonic() + PATIENCE
        while app.state.service.batcher.waiting("batch")[0] != 3 and time.monotonic() < end:
            time.sleep(0.005)
        refused = [batch("one").json()["error"]["code"] for _ in range(2)]
        engine.gate.set()
        assert [future.result(PATIENCE).status_code for future in (busy, waiting)] == [200, 200]
    assert refused == ["overloaded"] * 2
    assert batch("one").status_code == 200
    assert batch("one").json()["error"]["code"] == "rate_limited"


def test_caller_who_hangs_up_is_not_computed(start: Start, good: Any) -> None:
    engine = Gated(good)
    client = start(engine=engine, threads=1)
    app: Any = client.app
    batcher = app.state.service.batcher
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(client.post, "/v1/classify", json=ONE)
        assert engine.begun.acquire(timeout=PATIENCE)
        sent = asyncio.run(_hang_up(app, batcher))
        engine.gate.set()
        assert busy.result(PATIENCE).status_code == 200
    assert sent == []
    assert batcher.waiting("batch") == (0, 0)
    assert client.post("/v1/classify", json=ONE).status_code == 200
    assert engine.texts == 2
    assert 'status="499"} 1.0' in client.get("/metrics").text
    assert "kesu_abandoned_texts 3.0" in client.get("/metrics").text


async def _hang_up(app: Any, batcher: Any) -> list[MutableMapping[str, Any]]:
    """Send a batch, and close the connection once it waits; what the service sent back."""
    body = json.dumps({"items": [ONE] * 3}).encode()
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        for message in messages:
            return message
        while batcher.waiting("batch")[0] != 3:
            await asyncio.sleep(0.005)
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    path = "/v1/classify/batch"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
             "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
             "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "app": app}  # fmt: skip
    await asyncio.wait_for(app(scope, receive, send), PATIENCE)
    return sent


def test_slow_body_is_told(start: Start) -> None:
    client: TestClient = start(body_seconds=0.05)
    app: Any = client.app

    async def main() -> list[MutableMapping[str, Any]]:
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            await asyncio.sleep(PATIENCE)
            raise AssertionError

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/v1/classify", "headers": [], "query_string": b"",
                 "root_path": "", "scheme": "http", "client": None, "server": None}  # fmt: skip
        await asyncio.wait_for(app(scope, receive, send), PATIENCE)
        return sent

    assert asyncio.run(main())[0]["status"] == 408
