"""The log tells what happened, and not a character of a complaint."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import Any

import pytest

from serving import logs
from serving.bundle import Bundle
from serving.logs import Forward, LineWriter, make_log, text_hash
from serving.security import hash_key
from tests.service.conftest import Kept, Start
from tests.service.engines import Poisoned
from tests.toys import LOST_PARCEL

KEY = "kesu_very-secret"


def test_lines_tell_length_and_hash_and_nothing_of_the_text(
    start: Start, bundle: Bundle, log_stream: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Poisoned(bundle.classifier.engine)
    client = start(engine=engine, api_keys={"tickets": hash_key(KEY)})
    headers = {"Authorization": f"Bearer {KEY}", "X-Request-ID": "r-7"}

    def post(path: str, body: Any) -> None:
        client.post(path, json=body, headers=headers)

    post("/v1/classify", {"text": LOST_PARCEL, "id": "T-1", "explain": True})
    post("/v1/classify", {"text": LOST_PARCEL, "id": LOST_PARCEL, "channel": LOST_PARCEL})
    post("/v1/classify", {"text": LOST_PARCEL, LOST_PARCEL: LOST_PARCEL})
    post("/v1/classify", {"text": LOST_PARCEL, "received_at": LOST_PARCEL})
    post("/v1/classify", {"text": [LOST_PARCEL]})
    post("/v1/classify/batch", {"items": [{"text": LOST_PARCEL}, LOST_PARCEL]})
    post("/v2/models/kesu/infer", {"inputs": [LOST_PARCEL]})
    client.get(f"/{LOST_PARCEL}?text={LOST_PARCEL}", headers=headers)
    engine.fault = RuntimeError(LOST_PARCEL)
    post("/v1/classify", {"text": LOST_PARCEL})
    client.__exit__()
    client.app.state.service.log._logger.close()  # type: ignore[attr-defined]
    text = "\n".join(log_stream.lines()) + caplog.text
    assert not {character for character in LOST_PARCEL if character >= "\u4e00"} & set(json.loads(json.dumps(text)))
    assert "\\u" not in text
    assert KEY not in text
    lines = [json.loads(line) for line in log_stream.lines()]
    first = next(line for line in lines if line["event"] == "request")
    assert (first["request_id"], first["key"], first["status"], first["route"]) == (
        "r-7",
        "tickets",
        200,
        "/v1/classify",
    )
    assert (first["characters"], first["hashes"]) == (len(LOST_PARCEL), [text_hash(LOST_PARCEL)])
    assert first["ids"] == ["T-1"]
    fault = next(line for line in lines if line.get("status") == 500)
    assert (fault["level"], fault["error"], fault["error_code"]) == ("error", "RuntimeError", "internal_error")
    assert fault["where"].startswith("engines.py:")
    client.__enter__()  # which the fixture leaves


class Full(io.BytesIO):
    """A disk that is full."""

    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


class Stuck(io.BytesIO):
    """A pipe whose reader sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.awake = threading.Event()

    def write(self, data: object) -> int:
        self.awake.wait(30)
        return 0


def test_full_disk_or_sleeping_reader_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = LineWriter(Full())
    make_log(writer).info("request", status=200)
    writer.close(30)
    assert writer.dropped == 1
    monkeypatch.setattr(logs, "MAX_LINES", 5)
    stuck = Stuck()
    writer = LineWriter(stuck)
    for _ in range(50):
        make_log(writer).info("request")
    assert writer.dropped >= 44
    stuck.awake.set()


def test_lines_of_libraries_are_told_without_the_message_of_an_exception() -> None:
    stream = Kept()
    writer = LineWriter(stream)
    logger = logging.Logger("uvicorn.error")
    logger.addHandler(Forward(make_log(writer)))
    logger.info("Started server process [%d]", 7)
    try:
        raise ValueError(LOST_PARCEL)
    except ValueError:
        logger.exception("Exception in ASGI application %s", LOST_PARCEL)
    writer.close(30)
    first, second = map(json.loads, stream.lines())
    assert first["message"] == "Started server process [7]"
    assert second["error"] == "ValueError"
    assert LOST_PARCEL not in str(second)
