from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from model.errors import InvalidTaxonomy
from model.taxonomy import DEFAULT_PATH, Taxonomy, load_taxonomy, parse_taxonomy


def test_shipped_taxonomy_has_the_labels_of_the_guideline(taxonomy: Taxonomy) -> None:
    assert (len(taxonomy.groups), len(taxonomy.causes), len(taxonomy.motives), len(taxonomy.styles)) == (5, 23, 6, 5)
    assert taxonomy.levels == 5
    assert taxonomy.neutral_style == "unclear"
    assert all(cause.split(".")[0] == taxonomy.group_of[cause] for cause in taxonomy.cause_ids)
    assert set(taxonomy.group_of.values()) == set(taxonomy.group_ids)


def test_load_taxonomy_reads_once() -> None:
    assert load_taxonomy() is load_taxonomy()
    assert load_taxonomy(DEFAULT_PATH) == load_taxonomy()


def test_load_taxonomy_notices_an_edit(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    path.write_text(DEFAULT_PATH.read_text(encoding="utf-8"), encoding="utf-8")
    before = load_taxonomy(path)
    path.write_text(path.read_text(encoding="utf-8").replace(before.causes[0].zh, "别的名字"), encoding="utf-8")
    assert load_taxonomy(path).causes[0].zh == "别的名字"


def test_load_taxonomy_tells_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "labels.yaml"
    path.write_text(DEFAULT_PATH.read_text(encoding="utf-8"), encoding="gb18030")
    with pytest.raises(InvalidTaxonomy, match=r"labels\.yaml: is not UTF-8"):
        load_taxonomy(path)


def test_load_taxonomy_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidTaxonomy, match=r"labels\.yaml: cannot be read"):
        load_taxonomy(tmp_path / "labels.yaml")


def changed(**sections: object) -> str:
    raw = yaml.safe_load(DEFAULT_PATH.read_text(encoding="utf-8"))
    raw.update(sections)
    return yaml.safe_dump(raw, allow_unicode=True)


LABEL = {"id": "a", "zh": "甲", "en": "a", "definition": "d"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "not valid YAML"),
        ("- a", "expected exactly the keys version"),
        (changed(extra=[]), "expected exactly the keys"),
        (changed(styles=[]), "styles must be a non-empty list"),
        (changed(styles=["calm"]), r"styles\[0\]: expected a mapping"),
        (changed(styles=[{**LABEL, "colour": "red"}]), "unknown field 'colour'"),
        (changed(styles=[{**LABEL, "zh": ""}]), "field 'zh' must be"),
        (changed(styles=[{**LABEL, "id": 1}]), "field 'id' must be"),
        (changed(styles=[LABEL, LABEL]), "id 'a' appears more than once"),
        (changed(styles=[LABEL]), "exactly one style must carry neutral"),
        (changed(causes=[{**LABEL, "group": "nowhere"}]), "unknown group 'nowhere'"),
        (changed(severities=[LABEL]), "severities must have the ids"),
    ],
)
def test_parse_taxonomy_refuses(text: str, problem: str) -> None:
    with pytest.raises(InvalidTaxonomy, match=problem):
        parse_taxonomy(text, Path("labels.yaml"))
