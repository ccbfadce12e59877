"""A rules file is validated strictly: every error comes with file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import InvalidInput
from serving.severity import CaseFacts, SeverityRules
from serving.severity.rules import DEFAULT_PATH

GOOD = """\
format: 1
version: "1"
words:
  hot: [火, 烟]
guards:
  negation:
    before: ["没$"]
rules:
  - id: fire
    name: 起火
    level: 4
    any: ["起<hot>"]
  - {id: many, name: 多人, level: 3, at_least: 10, any: ["<number>人"], near: {within: clause, any: [投诉]}}
  - {id: old, name: 久拖, level: 3, fact: open_days, at_least: 7}
"""


def load(folder: Path, text: str) -> SeverityRules:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return SeverityRules.load(path)


def test_rules_file_of_a_user_is_read(tmp_path: Path) -> None:
    rules = load(tmp_path, GOOD)
    assert rules.version == "1"
    assert [raised.rule for raised in rules.fired("十二人投诉起火", CaseFacts(open_days=7))] == ["fire", "many", "old"]
    assert rules.fired("九人投诉没起火") == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format: 1", "format: 2", ":1: format: expected a whole number from 1 to 1"),
        ('version: "1"', "version: 1.0", r":2: version: expected a non-empty string \(quote numbers\)"),
        ('version: "1"', "versoin: x", ":2: versoin: unknown field; allowed are format, version, guards, rules, words"),
        ("    level: 4", "    level: 5", r":11: rules\[0\].level: expected a whole number from 1 to 4"),
        ("    level: 4", "    level: 2.5", r":11: rules\[0\].level: expected a whole number from 1 to 4"),
        ("    level: 4\n", "", r":9: rules\[0\]: field 'level' is missing"),
        ("    level: 4", "    level: 4\n    level: 3", r":12: rules\[0\].level: appears twice"),
        ("    name: 起火", "    name: ''", r":10: rules\[0\].name: expected a non-empty string"),
        ("    level: 4", "    levels: 4", r":11: rules\[0\].levels: unknown field"),
        ('["起<hot>"]', '["起(火"]', r":12: rules\[0\].any\[0\]: not a regular expression: missing \)"),
        ('["起<hot>"]', '["起<cold>"]', r":12: rules\[0\].any\[0\]: unknown words <cold>; known are number, hot"),
        ('["起<hot>"]', '["起?"]', r":12: rules\[0\].any\[0\]: matches the empty string"),
        ('["起<hot>"]', '["…火"]', r":12: rules\[0\].any\[0\]: a pattern must begin with words"),
        ('["起<hot>"]', "[]", r":12: rules\[0\].any: expected a list with at least one entry"),
        ('["起<hot>"]', "[12315]", r":12: rules\[0\].any\[0\]: expected a non-empty string \(quote numbers\)"),
        (
            '["起<hot>"]',
            '["起火"]\n    ignore: [doubt]',
            r":13: rules\[0\].ignore\[0\]: expected one of negation, found",
        ),
        (
            "within: clause",
            "within: page",
            r":13: rules\[1\].near.within: expected one of clause, sentence, text, found",
        ),
        ("at_least: 10", "at_least: -1", r":13: rules\[1\].at_least: expected a number above 0"),
        ('["<number>人"]', "[很多人]", r":13: rules\[1\].any\[0\]: with 'at_least' each pattern needs <number>"),
        ("id: old", "id: many", r":14: rules\[2\]: id 'many' appears more than once"),
        ("id: old", "id: Old One", r":14: rules\[2\].id: expected lower case letters and _"),
        ("fact: open_days", "fact: age", r":14: rules\[2\].fact: expected one of prior_complaints, affected_customers"),
        (", at_least: 7", "", r":14: rules\[2\]: a rule on a fact needs 'at_least'"),
        ("fact: open_days, ", "", r":14: rules\[2\]: needs exactly one of 'any' \(patterns\) and 'fact'"),
        ("at_least: 7", "at_least: 7, ignore: [negation]", r":14: rules\[2\]: a rule on a fact takes no patterns"),
        ("before:", "ahead:", r":7: guards.negation.ahead: unknown field"),
        ("  hot: [", "  Hot: [", ":4: words.Hot: names are lower case letters"),
        ("  - id: fire", "  - fire", ":[0-9]+: not valid YAML"),
    ],
)
def test_rules_file_error_tells_line_and_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(InvalidInput, match=f"rules.yaml{message}"):
        load(tmp_path, GOOD.replace(old, new))


def test_rules_file_tells_all_errors_at_once_in_order(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, GOOD.replace("level: 4", "level: 9").replace("open_days", "age").replace("within: clause, ", ""))
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["11", "13", "14"]


@pytest.mark.parametrize("text", ["", "- a", "text", "a: [", "rules: &a [*a]", "\x00"])
def test_rules_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"rules\.yaml"):
        load(tmp_path, text)


def test_rules_file_missing_or_not_utf8_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        SeverityRules.load(tmp_path / "none.yaml")
    (tmp_path / "gbk.yaml").write_bytes("规则".encode("gbk"))
    with pytest.raises(InvalidInput, match="is not UTF-8"):
        SeverityRules.load(tmp_path / "gbk.yaml")


def test_rules_file_that_ships_covers_what_the_design_asks_for() -> None:
    ids = {rule.id for rule in SeverityRules.load(DEFAULT_PATH).rules}
    assert ids >= {"injury", "food_poisoning", "fire", "electric_shock", "brake", "gas", "suicide", "violence"}
    assert ids >= {"personal_data", "group", "authority", "large_sum", "vulnerable_hurt", "repeated", "overdue"}
