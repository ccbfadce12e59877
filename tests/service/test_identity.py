"""The same text gets the same answer, to the last digit: alone, in a batch, over HTTP, from Python and the shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.classifier import Classifier
from serving.cli import main
from tests.toys import LOST_PARCEL, THANKS

TEXTS = [LOST_PARCEL, THANKS, "收到的杯子是坏的，客服说不管。", "坏了" * 80, "ＡＰＰ打不開😡，氣死我了", "赔" * 3] * 5
# What the service adds, and what belongs to the request rather than to the text.
ADDED = ("id", "first_reply", "human_decision", "strategies")


def labels(answer: dict[str, Any]) -> str:
    """The answer as the model alone gives it; the text of its JSON, so that every digit counts."""
    kept = {name: value for name, value in answer.items() if name not in ADDED}
    codes = {"truncated", "not_chinese", "too_short", "unknown_characters"}
    kept["warnings"] = [warning for warning in kept["warnings"] if warning["code"] in codes]
    kept["model"] = {name: value for name, value in kept["model"].items() if name != "playbook_version"}
    kept["severity"] = {**kept["severity"], "level": kept["severity"]["model_level"], "name": "", "raised_by": []}
    return json.dumps(kept, sort_keys=True)


@pytest.mark.parametrize("explain", [False, True])
def test_answers_are_the_same_whichever_way_they_are_asked(
    client: TestClient,
    toy_classifier: Classifier,
    model_folder: Path,
    explain: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = [labels(answer.to_dict()) for answer in toy_classifier.classify(TEXTS, explain)]
    alone = [client.post("/v1/classify", json={"text": text, "explain": explain}).json() for text in TEXTS]
    items = [{"text": text, "explain": explain} for text in TEXTS]
    batch = client.post("/v1/classify/batch", json={"items": items}).json()["results"]
    assert list(map(labels, alone)) == expected
    assert list(map(labels, batch)) == expected
    one = TEXTS[0]
    arguments = ["classify", one, "--json", "--model", str(model_folder), *(["--explain"] if explain else [])]
    with pytest.raises(SystemExit):
        main(arguments)
    assert labels(json.loads(capsys.readouterr().out)) == expected[0]


def test_plans_are_the_same_alone_and_in_a_batch(client: TestClient) -> None:
    item = {"id": 1, "text": LOST_PARCEL, "received_at": "2026-05-01T09:30:00+08:00", "channel": "hotline"}
    alone = client.post("/v1/classify", json=item).content
    batch = client.post("/v1/classify/batch", json={"items": [item] * 3}).content
    assert batch == b'{"results":[' + b",".join([alone] * 3) + b"]}"


def test_only_who_asks_for_evidence_gets_it_whatever_the_neighbours_ask(client: TestClient) -> None:
    items = [
        {"id": place, "text": LOST_PARCEL, "explain": place % 3 == 0, "received_at": "2026-05-01T09:30:00+08:00"}
        for place in range(8)
    ]
    batch = client.post("/v1/classify/batch", json={"items": items}).json()["results"]
    assert batch == [client.post("/v1/classify", json=item).json() for item in items]
    assert [bool(answer["causes"][0]["evidence"]) for answer in batch] == [item["explain"] for item in items]


def timeless(answer: Any) -> Any:
    """An answer without what depends on the moment it was asked: dates, and the id that a request is given."""
    if isinstance(answer, dict):
        return {name: timeless(value) for name, value in answer.items() if name not in ("at", "id")}
    return [timeless(part) for part in answer] if isinstance(answer, list) else answer


def test_shell_and_http_give_the_same_rules_and_plans(
    client: TestClient, model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [*TEXTS, LOST_PARCEL + "快递员还打伤了我，12315已经受理。"]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)))
    over_http = [client.post("/v1/classify", json={"text": text}).json() for text in texts]
    assert over_http[-1]["severity"]["raised_by"], "no rule fired: this test would not see rules left out"
    options = ["--input", str(source), "--output", str(target), "--model", str(model_folder)]
    for extra in (["--json"], []):
        with pytest.raises(SystemExit):
            main(["classify", *options, *extra])
        written = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
        if extra:
            assert timeless(written) == timeless(over_http)
        else:
            assert [row["severity"] for row in written] == [answer["severity"]["level"] for answer in over_http]
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["classify", texts[-1], "--json", "--model", str(model_folder)])
    assert timeless(json.loads(capsys.readouterr().out)) == timeless(over_http[-1])
