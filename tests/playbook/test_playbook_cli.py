"""``kesu playbook check`` and ``show``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model.errors import InvalidInput
from serving.playbook import InvalidPlaybook, Playbook
from serving.playbook.cli import app
from serving.playbook.loading import SHIPPED
from tests.playbook.cases import HEAD, strategy, write


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_cli_check_of_the_shipped_playbook_is_ok() -> None:
    assert run("check", str(SHIPPED)).endswith("strategies, 41 rules: ok\n")


def test_cli_check_raises_all_errors_for_the_command_to_print(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", a=HEAD + "strategies:\n" + strategy(owner="agnet", when="{motive: vnt}"))
    with pytest.raises(InvalidPlaybook, match=r"2 errors\n.*a\.yaml:6:20.*\n.*a\.yaml:7:12"):
        run("check", str(folder))


def test_cli_check_remarks_on_money_without_a_person(tmp_path: Path) -> None:
    text = HEAD + "first_reply: {1: {hours: 1}, 2: {hours: 2}, 3: {hours: 2}, 4: {hours: 1}}\n"
    text += "without: [motive.recognition]\nstrategies:\n" + strategy(steps="[直接退款给客户]")
    answer = json.loads(run("check", str(write(tmp_path / "own", a=text)), "--json"))
    assert len(answer["remarks"]) == 3
    assert "recognition" in answer["remarks"][0]
    assert "own.vent speaks of 退款" in answer["remarks"][1]
    assert "severity 2 is answered later" in answer["remarks"][2]


def test_cli_show_lists_and_describes() -> None:
    assert len(run("show").splitlines()) >= len(Playbook.load().strategies)
    assert "2026-04-14" in run("show", "--rules")
    assert json.loads(run("show", "motive.vent"))["when"] == {"motive": ["vent"]}
    assert json.loads(run("show", "market-14"))["valid_to"] == "2026-04-14"
    assert json.loads(run("show", "industry.finance"))["due"] == {"rule": "finance-simple"}
    assert len(json.loads(run("show", "--json"))) == len(Playbook.load().strategies)
    with pytest.raises(InvalidInput, match=r"closest known is 'motive\.vent'"):
        run("show", "motive.vnt")
