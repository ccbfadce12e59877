"""``kesu`` itself: its commands, what it says when something is wrong."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from model.errors import KesuError
from serving import cli
from tests.shell import Kesu

SECRET = "绝密投诉内容"


def test_taxonomy_prints_the_labels(kesu: Kesu, model_folder: Path) -> None:
    code, out, _ = kesu("taxonomy")
    assert code == 0
    assert "causes\tservice.delivery\t物流配送" in out
    labels = json.loads(kesu("taxonomy", "--json", "--model", model_folder)[1])
    assert len(labels["causes"]) == 23
    assert labels["causes"][0]["group"] == "quality"
    assert kesu("taxonomy", "--model", model_folder / "no")[0] == 2


def test_help_lists_all_commands_without_loading_them(kesu: Kesu, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("training.cli", "data.cli"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    code, out, _ = kesu("--help")
    assert code == 0
    for name in ("classify", "taxonomy", "data", "train", "evaluate"):
        assert name in out
    assert "Label complaints" in out
    assert not {"training.cli", "data.cli"} & set(sys.modules)


def test_usage_errors_exit_with_2(kesu: Kesu) -> None:
    for arguments in (["nothing"], ["classify", "--colour"], ["classify", "x", "--threads", "0"]):
        code, _, err = kesu(*arguments)
        assert code == 2
        assert err


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Plug a module with the given source in as the only command."""

    def plug(source: str, value: str, name: str = "extra") -> None:
        (tmp_path / f"{value.split(':')[0]}.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        entry = EntryPoint(name, value, cli.ENTRY_POINTS)
        monkeypatch.setattr(cli, "entry_points", lambda group, name=None: [entry])

    return plug


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.EXTRAS, "plug_missing", "train")
    error = cli._missing("train", "plug_missing", ModuleNotFoundError("No module named 'torch'", name="torch.nn"))
    assert str(error) == '`kesu train` needs the package torch, which is not installed; run: pip install "kesu[train]"'
    own = cli._missing("train", "training", ModuleNotFoundError("No module named 'training.cli'", name="training.cli"))
    assert "install kesu again" in str(own)


@pytest.mark.parametrize("where", ["at import", "when called"])
def test_a_missing_package_of_a_command_is_named(kesu: Kesu, plugged: Any, where: str) -> None:
    inner = "    import absent_package\n"
    source = ("import absent_package\n" if where == "at import" else "") + f"def run():\n    '''Do it.'''\n{inner}"
    plugged(source, f"plug_{where.split()[-1]}:run")
    code, _, err = kesu("extra")
    assert code == 2
    assert err.startswith("error: `kesu extra` needs the package absent_package, which is not installed; run: pip ")


def test_an_app_with_one_command_stays_a_group(kesu: Kesu, plugged: Any) -> None:
    plugged(
        "import typer\napp = typer.Typer(help='Many things.')\n@app.command()\ndef one():\n    print('done')\n",
        "plug_app:app",
    )
    assert "Many things." in kesu("--help")[1]
    assert kesu("extra", "one") == (0, "done\n", "")


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        ("from model.errors import InvalidInput\n    raise InvalidInput('bad row')", 2, "error: bad row\n"),
        ("raise OSError(28, 'No space left on device', 'x.bin')", 2, "error: x.bin: No space left on device; free"),
        ("raise KeyboardInterrupt", 130, ""),
        ("raise MemoryError", 2, "error: not enough memory"),
        (f"raise ValueError('{SECRET}')", 1, "error: kesu failed (ValueError in plug_fails"),
        ("raise SystemExit('stopped')", 2, "error: stopped\n"),
        ("import sys; sys.exit(5)", 5, ""),
    ],
)
def test_errors_are_told_on_one_line(
    kesu: Kesu, plugged: Any, raised: str, code: int, told: str, request: pytest.FixtureRequest
) -> None:
    module = f"plug_fails_{abs(hash(request.node.name))}"
    plugged(f"def run():\n    '''Fail.'''\n    {raised}\n", f"{module}:run")
    found, out, err = kesu("extra")
    assert (found, out) == (code, "")
    assert err.startswith(told)
    assert SECRET not in err
    assert err.count("\n") <= 1


def test_a_fault_shows_its_traceback_when_asked(plugged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged("def run():\n    '''Fail.'''\n    raise ValueError('why')\n", "plug_traceback:run")
    monkeypatch.setenv("KESU_TRACEBACK", "1")
    with pytest.raises(ValueError, match="why"):
        cli.main(["extra"])


def test_a_command_that_does_not_exist_in_its_module(kesu: Kesu, plugged: Any) -> None:
    plugged("", "plug_empty:run")
    assert kesu("extra") == (2, "", "error: `kesu extra` cannot be loaded: plug_empty:run does not exist\n")
    assert isinstance(KesuError("x"), Exception)
