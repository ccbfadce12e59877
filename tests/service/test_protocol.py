"""The Open Inference Protocol, version 2."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient

from serving.examples import INFER
from serving.routes.inference import OUTPUTS
from tests.toys import LOST_PARCEL, THANKS


def infer(client: TestClient, **changes: object) -> tuple[int, dict[str, object]]:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [2], "data": [LOST_PARCEL, THANKS], **changes}
    reply = client.post("/v2/models/kesu/infer", json={"inputs": [tensor]})
    return reply.status_code, reply.json()


def test_health_and_metadata(client: TestClient) -> None:
    assert client.get("/v2").json()["name"] == "kesu"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/kesu/ready").json() == {"name": "kesu", "ready": True}
    told = client.get("/v2/models/kesu").json()
    assert [tensor["name"] for tensor in told["outputs"]] == list(OUTPUTS)


def test_the_version_that_is_told_can_be_asked_for(client: TestClient) -> None:
    plain = client.get("/v2/models/kesu").json()
    (version,) = plain["versions"]
    path = f"/v2/models/kesu/versions/{version}"
    assert client.get(path).json() == plain
    assert client.get(f"{path}/ready").json() == {"name": "kesu", "ready": True}
    assert client.post(f"{path}/infer", json=INFER).json() == client.post("/v2/models/kesu/infer", json=INFER).json()
    for method, ending in (("GET", ""), ("GET", "/ready"), ("POST", "/infer")):
        reply = client.request(method, f"/v2/models/kesu/versions/9{ending}", json=INFER if method == "POST" else None)
        assert reply.status_code == 404
        assert repr(version) in reply.json()["error"]


@pytest.mark.parametrize("column", [False, True])
def test_infer_gives_one_entry_a_text(client: TestClient, column: bool) -> None:
    texts = [LOST_PARCEL, THANKS]
    status, reply = infer(client, **({"shape": [2, 1], "data": [[text] for text in texts]} if column else {}))
    assert status == 200
    outputs = {tensor["name"]: tensor for tensor in reply["outputs"]}  # type: ignore[attr-defined]
    assert all(tensor["shape"] == [2] for tensor in outputs.values())
    assert outputs["causes"]["data"] == ["service.delivery", ""]
    whole = json.loads(outputs["classification"]["data"][0])
    alone = client.post("/v1/classify", json={"text": LOST_PARCEL}).json()
    for body in (whole, alone):
        body.pop("id", None), body.pop("strategies"), body.pop("first_reply")
    assert whole == alone


def test_infer_outputs_can_be_chosen_and_the_id_comes_back(client: TestClient) -> None:
    reply = client.post("/v2/models/kesu/infer", json=INFER).json()
    assert reply["id"] == INFER["id"]
    assert [tensor["name"] for tensor in reply["outputs"]] == ["causes", "severity", "decision"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"datatype": "FP32"}, "BYTES"),
        ({"shape": [3]}, "[2]"),
        ({"shape": [0], "data": []}, "1 to 256"),
        ({"data": [LOST_PARCEL, ""]}, "text 1: "),
        ({"data": [LOST_PARCEL, 3]}, "text 1: "),
    ],
)
def test_infer_error_is_one_sentence(client: TestClient, changes: dict[str, object], words: str) -> None:
    status, reply = infer(client, **changes)
    assert status == 422
    assert list(reply) == ["error"]
    assert words in str(reply["error"])
