"""Switching to another model while requests come in."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from model.classification import ModelInfo
from model.classifier import Classifier
from model.errors import InvalidArtefact
from serving.bundle import Bundle
from serving.playbook import loading, playbook
from tests.service.conftest import Start, with_engine
from tests.service.engines import Poisoned
from tests.toys import LOST_PARCEL

ONE = {"text": LOST_PARCEL}


def version(bundle: Bundle, name: str) -> Bundle:
    one = bundle.classifier
    info = ModelInfo(one.info.name, name, one.info.taxonomy_version)
    return dataclasses.replace(
        bundle, classifier=Classifier(one.taxonomy, one.tokeniser, one.engine, one.decoding, info)
    )


def test_reload_under_load_loses_no_request(start: Start, bundle: Bundle) -> None:
    versions = iter(range(2, 100))
    client = start(load=lambda: version(bundle, str(next(versions))))
    stop = threading.Event()

    def calls() -> list[tuple[int, str]]:
        seen = []
        while not stop.is_set():
            reply = client.post("/v1/classify", json=ONE)
            seen.append((reply.status_code, reply.json()["model"]["version"]))
        return seen

    with ThreadPoolExecutor(3) as pool:
        callers = [pool.submit(calls) for _ in range(3)]
        for number in range(2, 6):
            reply = client.post("/v1/admin/reload")
            assert (reply.status_code, reply.json()["model"]["version"]) == (200, str(number))
        stop.set()
        seen = [pair for caller in callers for pair in caller.result()]
    assert {status for status, _ in seen} == {200}
    assert client.post("/v1/classify", json=ONE).json()["model"]["version"] == "5"
    page = client.get("/metrics").text
    assert 'kesu_reloads_total{result="done"} 4.0' in page
    assert 'version="5"' in page


def test_reload_of_what_fails_its_self_check_changes_nothing(start: Start, bundle: Bundle) -> None:
    spoiled = Poisoned(bundle.classifier.engine)
    spoiled.fault = "nan"
    faulty: list[Any] = [InvalidArtefact("no such folder"), RuntimeError(LOST_PARCEL), spoiled]

    def load() -> Bundle:
        found = faulty.pop(0)
        if isinstance(found, Exception):
            raise found
        return dataclasses.replace(bundle, classifier=with_engine(bundle, found))

    client = start(load=load)
    told = []
    for _ in range(3):
        reply = client.post("/v1/admin/reload")
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "reload_refused")
        told.append(reply.json()["error"]["message"])
    assert "no such folder" in told[0]
    assert LOST_PARCEL not in told[1]
    assert "finite" in told[2]
    assert client.post("/v1/classify", json=ONE).status_code == 200
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("extending", [False, True], ids=["shipped", "extends kesu"])
def test_reload_reads_the_shipped_playbook_as_it_is_now(
    start: Start, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extending: bool
) -> None:
    copy = shutil.copytree(loading.SHIPPED, tmp_path / "shipped")
    for module in (loading, playbook):
        monkeypatch.setattr(module, "SHIPPED", copy)
    own = tmp_path / "own.yaml"
    own.write_text('version: "t1"\nextends: kesu\n', encoding="utf-8")
    client = start(load=lambda: Bundle.load(model_folder, own if extending else None))

    settings = copy / "playbook.yaml"

    def strategies() -> int:
        return len(client.post("/v1/classify", json=ONE).json()["strategies"])

    assert client.post("/v1/admin/reload").status_code == 200
    assert strategies() > 1
    text = settings.read_text(encoding="utf-8").replace("max_strategies: 5", "max_strategies: 1")
    settings.write_text(text, encoding="utf-8")
    assert client.post("/v1/admin/reload").status_code == 200
    assert strategies() == 1
    settings.write_text(text.replace("max_strategies: 1", "max_strategies: none"), encoding="utf-8")
    reply = client.post("/v1/admin/reload")
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "reload_refused")
    assert f"{settings}:" in reply.json()["error"]["message"]
    assert strategies() == 1
