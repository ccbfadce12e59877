"""What a caller is promised."""

from __future__ import annotations

from fastapi.testclient import TestClient

from serving.answers import BatchReply, ClassifyReply
from serving.examples import BATCH, TICKET
from tests.toys import LOST_PARCEL, THANKS


def test_classify_answers_in_the_documented_form(client: TestClient) -> None:
    reply = client.post("/v1/classify", json=TICKET, headers={"X-Request-ID": "r-1"})
    assert reply.status_code == 200, reply.text
    answer = ClassifyReply.model_validate(reply.json())
    assert answer.id == TICKET["id"]
    assert answer.strategies
    assert answer.strategies[0].because
    assert list(reply.json()) == list(ClassifyReply.model_fields)
    assert reply.headers["x-request-id"] == "r-1"
    assert {part.split(";")[0].strip() for part in reply.headers["server-timing"].split(",")} == {
        "queue", "tokenise", "infer", "plan", "total",
    }  # fmt: skip


def test_classify_without_id_makes_one_up_that_is_in_the_header(client: TestClient) -> None:
    reply = client.post("/v1/classify", json={"text": LOST_PARCEL})
    assert reply.json()["id"] == reply.headers["x-request-id"] == reply.headers["x-kesu-id"]
    assert reply.json()["causes"][0]["label"] == "service.delivery"


def test_classify_no_complaint_has_no_labels_and_no_strategies(client: TestClient) -> None:
    body = client.post("/v1/classify", json={"text": THANKS}).json()
    assert (body["is_complaint"], body["causes"], body["motives"], body["strategies"]) == (False, [], [], [])


def test_batch_keeps_the_order_and_tells_each_bad_item(client: TestClient) -> None:
    items = [{"id": 1, "text": LOST_PARCEL}, {"id": 2, "text": ""}, {"id": "c", "text": THANKS}, "no object",
             {"id": 5, "text": LOST_PARCEL, "explian": True}]  # fmt: skip
    reply = client.post("/v1/classify/batch", json={"items": items})
    assert reply.status_code == 200
    results = BatchReply.model_validate(reply.json()).results
    assert [result.id for result in results] == [1, 2, "c", None, 5]
    told = [item["error"]["message"] if "error" in item else "" for item in reply.json()["results"]]
    assert told[0] == told[2] == ""
    assert "empty" in told[1]
    assert "dictionary" in told[3] or "object" in told[3]
    assert "explian" in told[4]
    assert client.post("/v1/classify/batch", json=BATCH).status_code == 200


def test_batch_of_none_or_too_many_is_refused(client: TestClient) -> None:
    for items in ([], [{"text": LOST_PARCEL}] * 257):
        reply = client.post("/v1/classify/batch", json={"items": items})
        assert reply.status_code == 422
        assert "1 to 256" in reply.json()["error"]["message"]


def test_labels_strategies_and_model_are_told(client: TestClient) -> None:
    taxonomy = client.get("/v1/taxonomy").json()
    assert {"service.delivery"} <= {cause["id"] for cause in taxonomy["causes"]}
    strategies = client.get("/v1/strategies").json()
    facts = client.get("/v1/model").json()
    assert strategies["version"] == facts["playbook_version"]
    assert all(strategy["when"] and strategy["steps"] for strategy in strategies["strategies"])
    assert (facts["name"], facts["max_batch_items"]) == ("toy", 256)


def test_probes_and_metrics(client: TestClient) -> None:
    client.post("/v1/classify", json={"text": LOST_PARCEL})
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    page = client.get("/metrics").text
    for line in (
        'kesu_requests_total{route="/v1/classify",status="200"} 1.0',
        'kesu_labels_total{dimension="cause",label="service.delivery"} 1.0',
        'kesu_step_seconds_count{step="queue"} 1.0',
        "kesu_waiting_single_texts 0.0",
    ):
        assert line in page
    assert 'kesu_model_info{name="toy"' in page


def test_docs_are_served(client: TestClient) -> None:
    assert client.get("/docs").status_code == 200
