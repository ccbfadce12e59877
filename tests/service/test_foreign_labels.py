"""A model of other labels and fewer severities is answered with the shipped rules and playbook, as far as they go."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from model.classification import ModelInfo
from model.classifier import Classifier
from model.decoding import Decoding
from model.engine import DummyEngine
from model.taxonomy import Taxonomy
from model.tokeniser import Tokeniser
from serving.bundle import Bundle, Case
from serving.display import fields
from serving.playbook import Playbook
from serving.severity import SeverityRules

INJURED = "快递员把我打伤了，已经住院，12315已经受理。"


@pytest.fixture
def foreign(taxonomy: Taxonomy, tokeniser: Tokeniser) -> Bundle:
    labels = replace(
        taxonomy,
        version="mine",
        groups=(replace(taxonomy.groups[0], id="mine"),),
        causes=tuple(replace(cause, id=f"my_{cause.id}", group="mine") for cause in taxonomy.causes[:5]),
        motives=tuple(replace(motive, id=f"my_{motive.id}") for motive in taxonomy.motives[:2]),
        severities=taxonomy.severities[:3],
    )
    decoding = Decoding.uncalibrated(labels, tokeniser.max_tokens)
    classifier = Classifier(labels, tokeniser, DummyEngine(labels), decoding, ModelInfo("mine", "1", labels.version))
    return Bundle(classifier, SeverityRules.load(None, labels), Playbook.load(None, labels))


def test_rules_that_ship_ask_for_the_highest_level_at_most(foreign: Bundle) -> None:
    fired = foreign.rules.fired(INJURED)
    assert fired
    assert {raised.level for raised in fired} == {2}
    for text in (INJURED, *(f"{INJURED}{number}" for number in range(20))):
        assert foreign.answer(Case(text)).classification.severity.level <= 2


def test_an_answer_is_whole_and_says_what_the_playbook_lacks(foreign: Bundle) -> None:
    foreign.check()
    answers = [foreign.answer(Case(f"{INJURED}{number}")) for number in range(20)]
    complaints = [answer for answer in answers if answer.classification.severity.level]
    assert complaints
    for answer in complaints:
        body = answer.to_dict(1)
        assert json.loads(json.dumps(body)) == body
        assert fields(body)
        assert "no_strategy" in {warning["code"] for warning in body["warnings"]}
