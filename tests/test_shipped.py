"""The model that ships: whole, small enough, the same in torch and int8, and as good as its card says."""

from __future__ import annotations

import numpy as np
import pytest

from data.corpus import load_corpus
from data.schema import LabelledText
from model.artifact import DEFAULT_FOLDER, ModelFolder
from model.classifier import Classifier
from model.formulas import read

pytestmark = pytest.mark.slow

MAXIMUM_MEGABYTES = 100
# Two points under what the model card tells, so that only a real loss fails.
MINIMUM_AUTHORED_INDEX = 0.78


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return Classifier.load()


@pytest.fixture(scope="module")
def dev_rows() -> list[LabelledText]:
    return load_corpus("dev")


def test_shipped_folder_is_whole_and_small() -> None:
    ModelFolder(DEFAULT_FOLDER).validate(warm_start=True)
    size = sum(path.stat().st_size for path in DEFAULT_FOLDER.parent.rglob("*") if path.is_file())
    assert size <= MAXIMUM_MEGABYTES * 1_000_000
    assert (DEFAULT_FOLDER / "README.md").is_file()


def test_shipped_files_tell_nothing_of_the_machine_that_made_them() -> None:
    assert b"site-packages" not in ModelFolder(DEFAULT_FOLDER).network.read_bytes()
    assert "_name_or_path" not in (ModelFolder(DEFAULT_FOLDER).warm_start / "config.json").read_text(encoding="utf-8")


def test_shipped_int8_agrees_with_its_torch_weights(shipped: Classifier, dev_rows: list[LabelledText]) -> None:
    from model.decode import decode
    from training.export import load_trained
    from training.predict import predict

    texts = [row.text for row in dev_rows]
    network, _ = load_trained(ModelFolder(DEFAULT_FOLDER).warm_start, shipped.taxonomy)
    exact = predict(network, shipped.tokeniser, texts)
    rounded = shipped.engine.logits([shipped.tokeniser.encode(read(text).text).ids for text in texts])
    for head in ("causes", "motives", "severity", "style"):
        one, other = getattr(exact, head), getattr(rounded, head)
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
        assert np.sqrt(np.mean((one - other) ** 2)) < 0.15 * one.std()
    first = [
        [causes[:1] for causes in decode(logits, shipped.decoding, shipped.taxonomy).chosen_causes]
        for logits in (exact, rounded)
    ]
    assert np.mean([one == other for one, other in zip(*first, strict=True)]) >= 0.95


def test_shipped_answers_are_the_same_alone_and_in_a_crowd(shipped: Classifier, dev_rows: list[LabelledText]) -> None:
    texts = [row.text for row in dev_rows[:32]]
    crowd = [answer.to_dict() for answer in shipped.classify(texts)]
    assert [shipped.classify([text])[0].to_dict() for text in texts] == crowd
    assert [a.to_dict() for a in Classifier.load(threads=1).classify(texts)] == crowd


def test_shipped_names_a_cause_and_a_motive_for_every_complaint(
    shipped: Classifier, dev_rows: list[LabelledText]
) -> None:
    for answer in shipped.classify([row.text for row in dev_rows]):
        assert bool(answer.causes) == bool(answer.motives) == answer.is_complaint == (answer.severity.level > 0)


def test_shipped_is_as_good_as_its_card_says(shipped: Classifier, dev_rows: list[LabelledText]) -> None:
    from training.metrics import evaluate

    answers = shipped.classify([row.text for row in dev_rows])
    predicted = {row.id: {"id": row.id, **answer.to_row()} for row, answer in zip(dev_rows, answers, strict=True)}
    figures = evaluate({row.id: row.model_dump() for row in dev_rows}, predicted, shipped.taxonomy)
    assert figures["index"] >= MINIMUM_AUTHORED_INDEX
    assert figures["complaint_f1"] >= 0.94
    assert figures["critical_recall_at_3_or_more"] >= 0.9
