"""The service around a toy model, called in process."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from model.classifier import Classifier
from model.engine import Engine
from serving.app import create_app
from serving.bundle import Bundle
from serving.logs import LineWriter, make_log
from serving.playbook import Playbook
from serving.service import Service
from serving.settings import Settings
from serving.severity import SeverityRules

Start = Callable[..., TestClient]


class Kept(io.BytesIO):
    """A stream whose lines can still be read."""

    def lines(self) -> list[str]:
        return self.getvalue().decode().splitlines()


@pytest.fixture(scope="session")
def bundle(toy_classifier: Classifier) -> Bundle:
    return Bundle(toy_classifier, SeverityRules.load(), Playbook.load())


@pytest.fixture
def log_stream() -> Kept:
    return Kept()


@pytest.fixture
def start(bundle: Bundle, log_stream: Kept, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a service; settings as keywords, ``engine`` in place of the toy network, ``load`` for reloads."""
    open_clients: list[TestClient] = []
    writers: list[LineWriter] = []

    def run(
        *, engine: Engine | None = None, load: Callable[[], Bundle] | None = None, **settings: object
    ) -> TestClient:
        used = bundle if engine is None else dataclasses.replace(bundle, classifier=with_engine(bundle, engine))
        writers.append(LineWriter(log_stream))
        # The machine may be busy: what is slow here must not look like a hanging engine.
        patient = {"text_seconds": 120, "batch_seconds": 240, "body_seconds": 120}
        options = {"threads": 2, **patient, **settings}
        service = Service(Settings(**options), used, load or (lambda: used), make_log(writers[-1]))  # type: ignore[arg-type]
        client = TestClient(create_app(service), client=("127.0.0.1", 50000))
        open_clients.append(client)
        return client.__enter__()

    yield run
    for client in open_clients:
        client.__exit__()
    for writer in writers:
        writer.close()


def with_engine(bundle: Bundle, engine: Engine) -> Classifier:
    """The bundle's classifier on another engine."""
    one = bundle.classifier
    return Classifier(one.taxonomy, one.tokeniser, engine, one.decoding, one.info)


@pytest.fixture
def client(start: Start) -> TestClient:
    return start()
