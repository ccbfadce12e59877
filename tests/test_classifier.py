from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model import Classification, Classifier, InvalidArtefact, InvalidInput
from model.intake import MAX_CHARACTERS
from model.taxonomy import Taxonomy
from tests.toys import LOST_PARCEL, THANKS


def test_classify_labels_a_complaint(toy_classifier: Classifier) -> None:
    (answer,) = toy_classifier.classify([LOST_PARCEL])
    assert isinstance(answer, Classification)
    assert answer.is_complaint
    assert answer.causes[0].label == "service.delivery"
    assert answer.causes[0].group == "service"
    assert answer.cause_groups["service"] == answer.causes[0].probability
    assert answer.motives[0].label == "compensation"
    assert answer.severity.level == answer.severity.model_level >= 1
    assert answer.warnings == ()
    assert answer.model.name == "toy"


def test_classify_gives_a_non_complaint_no_labels(toy_classifier: Classifier, taxonomy: Taxonomy) -> None:
    (answer,) = toy_classifier.classify([THANKS], explain=True)
    assert not answer.is_complaint
    assert answer.causes == answer.motives == ()
    assert set(answer.cause_groups.values()) == {0.0}
    assert answer.severity.level == 0
    assert answer.style.label == taxonomy.neutral_style
    assert answer.confidence == pytest.approx(1 - answer.complaint_probability)


def test_classify_explains_with_spans_of_the_callers_text(toy_classifier: Classifier) -> None:
    sources = [LOST_PARCEL, THANKS, "包裹\u200b丟了", "  快遞弄丟了！！！！！ 東西還壞了，要求賠錢"]
    answers = toy_classifier.classify(sources, explain=True)
    for source, answer in zip(sources, answers, strict=True):
        for label in (*answer.causes, *answer.motives):
            for span in label.evidence:
                assert source[span.start : span.end] == span.text
    assert [span.text for span in answers[0].causes[0].evidence] == ["快递弄丢了"]
    assert [span.text for span in answers[0].motives[0].evidence] == ["要求赔钱"]
    assert answers[2].causes[0].evidence[0].text == "包裹\u200b丟了"
    words = {label.label: label.evidence[0].text for label in answers[3].causes if label.evidence}
    assert words["service.delivery"] == "快遞弄丟了"
    assert words["quality.defect"] == "東西還壞了"


def test_classify_answers_alone_as_in_a_crowd(toy_classifier: Classifier) -> None:
    texts = [LOST_PARCEL, THANKS, "东西坏了" * 30, "退款，谢谢，不是坏了", LOST_PARCEL]
    together = toy_classifier.classify(texts, explain=True)
    assert together == [toy_classifier.classify([text], explain=True)[0] for text in texts]
    assert toy_classifier.classify([]) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "expected a text, found NoneType"),
        (b"text", "expected a text, found bytes"),
        ("", "empty or only white space"),
        (" \n\u3000\u200b", "empty or only white space"),
        ("坏了\x00退款", "NUL bytes"),
        ("😂😂👎!!", "no word in it"),
        ("坏" * (MAX_CHARACTERS + 1), "more than 100,000"),
    ],
)
def test_classify_refuses_and_names_the_place(toy_classifier: Classifier, text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=rf"text 1: .*{problem}") as caught:
        toy_classifier.classify([LOST_PARCEL, text])
    assert len(str(caught.value)) < 200  # the text itself is not repeated


def test_classify_refuses_a_single_string(toy_classifier: Classifier) -> None:
    with pytest.raises(InvalidInput, match="expected a list of texts"):
        toy_classifier.classify(LOST_PARCEL)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (LOST_PARCEL, []),
        ("The parcel was lost and nobody answers", ["not_chinese"]),
        ("The parcel was lost and nobody answers, please refund 差", ["not_chinese"]),
        ("差", ["too_short"]),
        ("12315", ["too_short"]),
        ("坏了" * 100, ["truncated"]),
        ("鱻犇猋坏", ["unknown_characters"]),
    ],
)
def test_classify_warns(toy_classifier: Classifier, text: str, codes: list[str]) -> None:
    (answer,) = toy_classifier.classify([text])
    assert [notice.code for notice in answer.warnings] == codes
    if codes == ["truncated"]:
        assert "read 62 of 201 tokens" in answer.warnings[0].message


def test_answers_can_be_written_as_json(toy_classifier: Classifier) -> None:
    (answer,) = toy_classifier.classify([LOST_PARCEL], explain=True)
    whole = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert list(whole) == [
        *("is_complaint", "complaint_probability", "causes", "cause_groups", "motives", "severity", "style"),
        *("confidence", "decision", "review_reasons", "warnings", "model"),
    ]
    assert whole["causes"][0]["evidence"][0]["text"] == "快递弄丢了"
    assert round(whole["confidence"], 4) == whole["confidence"]
    assert "group" not in whole["motives"][0]
    row = answer.to_row()
    assert list(row) == ["causes", "motives", "severity", "style", "confidence", "decision"]
    assert row["causes"][0] == "service.delivery"


@given(st.lists(st.text(max_size=80), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_classify_accepts_or_refuses_but_never_fails(dummy_classifier: Classifier, texts: list[str]) -> None:
    try:
        answers = dummy_classifier.classify(texts, explain=True)
    except InvalidInput:
        return
    assert len(answers) == len(texts)
    for answer in answers:
        json.dumps(answer.to_dict(), ensure_ascii=False, allow_nan=False).encode()
        assert bool(answer.causes) == bool(answer.motives) == answer.is_complaint


def test_classify_from_several_threads(toy_classifier: Classifier) -> None:
    texts = [f"快递{number}弄丢了，东西坏了" for number in range(20)]
    expected = toy_classifier.classify(texts)
    found: list[list[Classification]] = []
    threads = [threading.Thread(target=lambda: found.append(toy_classifier.classify(texts))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_load_takes_a_string_and_names_what_is_wrong(model_folder: Path) -> None:
    assert Classifier.load(str(model_folder)).taxonomy.levels == 5
    (model_folder / "tokenizer.json").unlink()
    with pytest.raises(InvalidArtefact, match=r"tokenizer\.json: missing"):
        Classifier.load(model_folder)


@pytest.mark.parametrize("text", ["I want my money back, this is broken", "差"])
def test_classifier_leaves_texts_unlike_the_calibration_rows_to_a_person(toy_classifier: Classifier, text: str) -> None:
    (answer,) = toy_classifier.classify([text])
    assert answer.decision == "review"
    assert answer.review_reasons[0] == answer.warnings[0].code
