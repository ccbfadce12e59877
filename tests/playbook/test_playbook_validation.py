"""A tenant's files: every error with file, line and field; a bad file never replaces a good one."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import KesuError
from serving.playbook import InvalidPlaybook, Playbook
from serving.playbook.loading import SHIPPED
from tests.playbook.cases import HEAD, case, received, strategy, write

NOW = received(2025, 3, 4, 10)


def problems(folder: Path, **files: str) -> list[str]:
    """What is wrong with these files, with the folder cut from the names."""
    with pytest.raises(InvalidPlaybook) as caught:
        Playbook.load(write(folder, **files))
    assert isinstance(caught.value, KesuError)
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            strategy(when="{motive: revnge}"),
            "a.yaml:6:20: strategies[0].when.motive: unknown motive 'revnge'; the closest known is 'revenge'",
        ),
        (
            strategy(when="{cause: [quality.defect, quality.defct]}"),
            "a.yaml:6:36: strategies[0].when.cause[1]: unknown cause 'quality.defct'; "
            "the closest known is 'quality.defect'",
        ),
        (
            strategy(when="{severity: [3, 7]}"),
            "a.yaml:6:26: strategies[0].when.severity[1]: unknown severity level '7'; the closest known is",
        ),
        (strategy(when="{sverity: 3}"), "strategies[0].when.sverity: unknown field 'sverity'; the closest known is"),
        (strategy(when="{}"), "a.yaml:6:11: strategies[0].when: needs at least one of cause, group"),
        (
            strategy(basis="[cpl-56-1]"),
            "a.yaml:11:13: strategies[0].basis[0]: unknown rule 'cpl-56-1'; the closest known is 'cpl-55-1'",
        ),
        (
            strategy(owner="agnet"),
            "a.yaml:7:12: strategies[0].owner: unknown owner 'agnet'; the closest known is 'agent'",
        ),
        (strategy(due="{hours: 0}"), "a.yaml:8:18: strategies[0].due.hours: expected a whole number from 1 to 8784"),
        (strategy(due="{hours: 1, working_days: 2}"), "a.yaml:8:10: strategies[0].due: needs exactly one of hours"),
        (strategy(due="soon"), "a.yaml:8:10: strategies[0].due: expected first_reply, or a mapping"),
        (strategy(due="{rule: cpl-46}"), "due: the rule 'cpl-46' sets the merchant no limit from the receipt"),
        (strategy(human_decision="maybe"), "a.yaml:9:21: strategies[0].human_decision: expected true or false"),
        (
            strategy(when="{motive: compensation}"),
            "a.yaml:9:21: strategies[0].human_decision: must be true: the strategy is for motive 'compensation'",
        ),
        (
            strategy(when="{cause: [service.delivery, customer.misuse]}"),
            "a.yaml:9:21: strategies[0].human_decision: must be true: the strategy is for group 'customer'",
        ),
        (strategy(steps="[]"), "a.yaml:10:12: strategies[0].steps: needs at least 1 entries"),
        (strategy(steps="[12]"), "strategies[0].steps[0]: expected a text, found 12 (put quotes around"),
        (strategy(title="{zh: 只有中文}"), "a.yaml:5:12: strategies[0].title: the field 'en' is missing"),
        (strategy(titel="x"), "a.yaml:11:12: strategies[0].titel: unknown field 'titel'; the closest known is 'title'"),
        (strategy("Own Vent"), "a.yaml:4:9: strategies[0].id: 'Own Vent' is no id"),
        (strategy(replaces="[motive.vnt]"), "unknown strategy 'motive.vnt'; the closest known is 'motive.vent'"),
        (strategy(replaces="[own.vent]"), "strategies[0].replaces: a strategy cannot replace itself"),
        (strategy() + strategy(), "a.yaml:11:5: strategies[1]: the id 'own.vent' is already taken in"),
        ("  - just words\n", "a.yaml:4:5: strategies[0]: expected a mapping with id, title"),
    ],
)
def test_validation_names_line_and_field_of_a_strategy(tmp_path: Path, entry: str, expected: str) -> None:
    found = problems(tmp_path / "own", a=HEAD + "strategies:\n" + entry)
    assert any(expected in problem for problem in found), found


RULE = """  - id: own.rule
    law: {zh: 某办法, en: Some measures}
    article: "1"
    what: {zh: 答复, en: answer}
    who: merchant
    valid_from: 2025-01-01
    valid_to: null
    source: test
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("valid_from: 2025-01-01", 'valid_from: "2025-01-01"', "a.yaml:9:17: rules[0].valid_from: expected a date"),
        ("valid_from: 2025-01-01", "valid_from: 2025-13-41", "a.yaml:9:17: rules[0].valid_from: not a valid value"),
        ("valid_to: null", "valid_to: 2024-12-31", "a.yaml:10:15: rules[0].valid_to: 2024-12-31 is before valid_from"),
        ("    valid_to: null\n", "", "a.yaml:4:5: rules[0]: the field 'valid_to' is missing"),
        ('"1"', "1", "a.yaml:6:14: rules[0].article: expected a text, found 1"),
        ("who: merchant", "who: mercant", "rules[0].who: unknown party 'mercant'; the closest known is 'merchant'"),
        ("    source: test\n", "    source: t\n    limit: {hours: 2}\n", "rules[0].limit: a limit needs 'starts'"),
        ("    source: test\n", "    source: t\n    starts: received\n", "rules[0].starts: 'starts' without 'limit'"),
        (
            "    source: test\n",
            "    source: t\n    industry: bnk\n",
            "unknown industry 'bnk'; the closest known is 'bank'",
        ),
        (
            "    source: test\n",
            "    source: t\n    industry: bank\n    except_industry: hotel\n",
            "rules[0].except_industry: 'industry' and 'except_industry' exclude each other",
        ),
    ],
)
def test_validation_names_line_and_field_of_a_rule(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in RULE
    found = problems(tmp_path / "own", a=HEAD + "rules:\n" + RULE.replace(old, new))
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: [1\nrules: {", "a.yaml:2:6: not valid YAML"),
        ("", "a.yaml: the file is empty"),
        ("- 1\n", "a.yaml:1:1: expected a mapping with some of version"),
        (HEAD + "stategies: []\n", "stategies: unknown section 'stategies'; the closest known is 'strategies'"),
        (HEAD + "version: x\n", "a.yaml:3:1: the key 'version' appears twice; first in line 1"),
        (HEAD + "a: &x 1\nb: *x\n", "a.yaml:4:4: aliases (*name) are not allowed"),
        (HEAD + "notice: !!python/object:os.system x\n", "a.yaml:3:9: notice: not valid YAML"),
        ("version: 1\nextends: kesu\n", "a.yaml:1:10: version: expected a text, found 1"),
        ("version: x\nextends: keso\n", "unknown playbook to extend 'keso'; the closest known is 'kesu'"),
        (HEAD + "without: [severity.5]\n", "a.yaml:3:11: without[0]: unknown strategy 'severity.5'"),
        (HEAD + "timezone: Asia/Shanhai\n", "a.yaml:3:11: timezone: unknown time zone 'Asia/Shanhai'"),
        (HEAD + "timezone: ../../etc/passwd\n", "timezone: unknown time zone"),
        (HEAD + "max_strategies: 50\n", "a.yaml:3:17: max_strategies: expected a whole number from 1 to 8"),
        (
            HEAD + "first_reply: {1: {hours: 9}, 2: {hours: 9}, 3: {hours: 9}}\n",
            "first_reply: the field '4' is missing",
        ),
        (HEAD + "human_decision: {cases: {motive: vnt}, strategies: {}}\n", "unknown motive 'vnt'"),
        (HEAD + "rules: 5\n", "a.yaml:3:8: rules: expected a list"),
        ("version: \x07\n", "a.yaml:1:1: not valid YAML: character"),
        ("[" * 3000 + "]" * 3000, "a.yaml: nested too deeply"),
        ('version: "1"\n', "the section 'owners' is missing; add it, or write `extends: kesu`"),
        ("strategies: []\n", "the section 'version' is missing"),
    ],
)
def test_validation_names_what_is_wrong_with_a_file(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(tmp_path / "own", a=text)
    assert any(expected in problem for problem in found), found


def test_validation_tells_all_errors_of_all_files_in_order(tmp_path: Path) -> None:
    bad = "strategies:\n" + strategy(when="{motive: x}", owner="y") + strategy("own.two", due="never")
    found = problems(tmp_path / "own", a=HEAD, b=bad, c="version: twice\n")
    assert [problem.split(": ")[0] for problem in found] == [
        "b.yaml:4:20",
        "b.yaml:5:12",
        "b.yaml:13:10",
        "c.yaml:1:10",
    ]


def test_validation_of_bytes_and_places(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", a=HEAD)
    (folder / "b.yaml").write_bytes("version: 版本".encode("gb18030"))
    (folder / "c.yaml").write_bytes(b"#" * (1 << 20) + b"#")
    found = problems(folder)
    assert "b.yaml:1:1: not UTF-8 text; save the file as UTF-8" in found
    assert "c.yaml: larger than 1,048,576 bytes" in found
    with pytest.raises(InvalidPlaybook, match="cannot be read"):
        Playbook.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidPlaybook, match=r"holds no \.yaml file"):
        Playbook.load(tmp_path / "empty")


def test_validation_human_decision_cannot_be_switched_off(tmp_path: Path) -> None:
    weak = HEAD + "human_decision: {cases: {}, strategies: {}}\n"
    book = Playbook.load(write(tmp_path / "own", a=weak))
    assert book.plan(case(["customer.misuse"], ["vent"]), NOW).human_decision


def test_tenant_builds_on_the_shipped_playbook(tmp_path: Path) -> None:
    own = HEAD + "without: [style.lively]\nowners: {desk: {zh: 前台, en: Desk}}\nstrategies:\n"
    own += strategy("motive.vent", owner="desk")
    book = Playbook.load(write(tmp_path / "own", a=own))
    shipped = Playbook.load()
    assert book.version == "t1"
    assert len(book.strategies) == len(shipped.strategies) - 1
    (vent,) = [s for s in book.plan(case(["quality.defect"], ["vent"]), NOW).strategies if s.id == "motive.vent"]
    assert vent.owner.name.zh == "前台"
    assert book.fingerprint != shipped.fingerprint


def test_tenant_single_file_stands_alone(tmp_path: Path) -> None:
    parts = [file.read_text(encoding="utf-8") for file in sorted(SHIPPED.glob("*.yaml"))]
    strategies = "".join(p.partition("\nstrategies:\n")[2] for p in parts if "\nstrategies:\n" in p)
    others = [p for p in parts if "\nstrategies:\n" not in p]
    file = tmp_path / "mine.yaml"
    file.write_text("\n".join([*others, "strategies:", strategies]), encoding="utf-8")
    assert {s.id for s in Playbook.load(file).strategies} == {s.id for s in Playbook.load().strategies}


def test_reload_keeps_the_good_one_when_the_new_one_is_bad(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", a=HEAD)
    good = Playbook.load(folder)
    before = good.plan(case(["quality.defect"], ["vent"]), NOW).to_dict()
    write(folder, a=HEAD + "strategies:\n" + strategy(owner="nobody"))
    with pytest.raises(InvalidPlaybook, match="unknown owner"):
        good.reload()
    assert good.plan(case(["quality.defect"], ["vent"]), NOW).to_dict() == before
    write(folder, a=HEAD.replace("t1", "t2"))
    assert good.reload().version == "t2"
    assert good.version == "t1"
