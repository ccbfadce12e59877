from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data.schema import MAX_CHARACTERS, LabelledText
from model.taxonomy import load_taxonomy, parse_taxonomy

TAXONOMY = load_taxonomy()
OTHER = parse_taxonomy(
    """
version: "x"
groups: [{id: g, zh: 组, en: Group, definition: d}]
causes: [{id: late, code: A1, group: g, zh: 迟到, en: Late, definition: d}]
motives: [{id: calm, zh: 平静, en: Calm, definition: d}]
severities: [{id: "0", zh: 无, en: "No", definition: d}, {id: "1", zh: 有, en: "Yes", definition: d}]
styles: [{id: plain, zh: 平, en: Plain, definition: d, neutral: true}]
""",
    Path("other.yaml"),
)


def row(**changes: Any) -> dict[str, Any]:
    fields = {"id": "a", "text": "电饭煲冒烟了", "causes": ["quality.safety"], "motives": ["vent"], "severity": 3}
    return fields | changes


def messages(fields: dict[str, Any]) -> list[tuple[tuple[Any, ...], str, str]]:
    with pytest.raises(ValidationError) as caught:
        LabelledText.parse(fields, TAXONOMY)
    return [(e["loc"], e["msg"], str(e.get("ctx", {}).get("fix", ""))) for e in caught.value.errors()]


def test_schema_accepts_a_row_and_gives_it_back() -> None:
    text = LabelledText.parse(row(style="lively", split="train"), TAXONOMY)
    assert text.as_row() == row(style="lively", split="train")


def test_schema_gives_unlabelled_style_the_neutral_one() -> None:
    assert LabelledText.parse(row(), TAXONOMY).style == TAXONOMY.neutral_style
    assert LabelledText.parse(row(style=""), TAXONOMY).style == TAXONOMY.neutral_style


def test_schema_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        LabelledText(**row()).text = "x"


def test_schema_forbids_unknown_fields() -> None:
    ((loc, _, _),) = messages(row(mood="bad"))
    assert loc == ("mood",)


@pytest.mark.parametrize(
    ("field", "label", "closest"),
    [
        ("causes", "quality.defects", "quality.defect (Q1"),
        ("causes", "质量缺限", "质量缺陷"),
        ("motives", "vents", "vent"),
    ],
)
def test_schema_names_unknown_label_and_closest(field: str, label: str, closest: str) -> None:
    ((loc, message, fix),) = messages(row(**{field: [label]}))
    assert loc == (field, 0)
    assert label in message
    assert closest in fix


def test_schema_lists_all_of_a_small_dimension_where_nothing_is_close() -> None:
    ((_, _, fix),) = messages(row(motives=["xyz"]))
    assert all(motive in fix for motive in TAXONOMY.motive_ids)


def test_schema_names_every_unknown_label() -> None:
    assert [loc for loc, _, _ in messages(row(causes=["x1", "quality.defect", "x2"]))] == [("causes", 0), ("causes", 2)]


def test_schema_message_survives_braces() -> None:
    assert "{x}" in messages(row(causes=["{x}"]))[0][1]


@pytest.mark.parametrize(
    "changes",
    [
        {"severity": 0},
        {"severity": 0, "causes": []},
        {"severity": 2, "causes": [], "motives": []},
        {"severity": 9},
        {"severity": -1},
        {"style": "grim"},
        {"causes": ["quality.safety", "quality.safety"]},
        {"text": " \n\u3000"},
        {"text": "坏了\x00"},
        {"text": "坏" * (MAX_CHARACTERS + 1)},
        {"id": ""},
    ],
)
def test_schema_refuses(changes: dict[str, Any]) -> None:
    assert len(messages(row(**changes))) == 1


def test_schema_accepts_the_longest_text_and_cause_without_motive() -> None:
    assert LabelledText.parse(row(text="坏" * MAX_CHARACTERS, motives=[]), TAXONOMY).motives == ()


def test_schema_knows_another_taxonomy() -> None:
    text = LabelledText.parse({"id": "1", "text": "车没来", "causes": ["late"], "severity": 1}, OTHER)
    assert text.style == "plain"
    with pytest.raises(ValidationError, match="unknown cause"):
        LabelledText.parse(row(), OTHER)
