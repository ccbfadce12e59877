"""Settings: where they come from, and that a typo in one is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.errors import InvalidInput
from serving.security import hash_key
from serving.settings import Settings, load_settings

HASH = hash_key("k")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("KESU_")]:
        monkeypatch.delenv(name)


def test_options_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kesu.toml"
    file.write_text(f'port = 1\nthreads = 1\nbatch_items = 16\n[api_keys]\ntickets = "{HASH}"\n')
    monkeypatch.setenv("KESU_CONFIG", str(file))
    monkeypatch.setenv("KESU_THREADS", "2")
    monkeypatch.setenv("KESU_PORT", "2")
    settings = load_settings(options={"port": 3, "host": None})
    assert (settings.port, settings.threads, settings.batch_items) == (3, 2, 16)
    assert settings.api_keys == {"tickets": HASH}
    assert settings.host == "127.0.0.1"


def test_keys_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KESU_API_KEYS", f'{{"a": "{HASH}"}}')
    monkeypatch.setenv("KESU_ADMIN_KEYS", '["a"]')
    monkeypatch.setenv("KESU_HOST", "0.0.0.0")
    assert load_settings().admin_keys == {"a"}


@pytest.mark.parametrize("names", [[], ["new"]])
def test_keys_of_the_environment_replace_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    file = tmp_path / "kesu.toml"
    file.write_text(f'[api_keys]\nold = "{HASH}"\n')
    keys = dict.fromkeys(names, hash_key("n"))
    monkeypatch.setenv("KESU_API_KEYS", json.dumps(keys))
    settings = load_settings(file)
    assert settings.api_keys == keys
    # As the supervisor's child reads them, whatever stands in its environment.
    monkeypatch.setenv("KESU_API_KEYS", f'{{"other": "{HASH}"}}')
    assert Settings.model_validate_json(settings.model_dump_json()) == settings
    options = {"api_keys": {"option": HASH}}
    assert load_settings(file, options).api_keys == options["api_keys"]


@pytest.mark.parametrize("service", ["KESU", "KESU_WEB"])
def test_variables_that_kubernetes_sets_for_services_named_kesu_and_kesu_web_are_none_of_ours(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    address = "tcp://10.0.0.7:8000"
    for name, value in {
        "SERVICE_HOST": "10.0.0.7",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "SERVICE_PORT_HTTP_ADMIN": "8001",
        "PORT": address,
        "PORT_8000_TCP": address,
        "PORT_8000_TCP_PROTO": "tcp",
        "PORT_8000_TCP_PORT": "8000",
        "PORT_8000_TCP_ADDR": "10.0.0.7",
    }.items():
        monkeypatch.setenv(f"{service}_{name}", value)
    assert load_settings().port == 8000
    assert load_settings(options={"port": 9}).port == 9
    monkeypatch.setenv("KESU_PORT", "7")
    assert load_settings().port == 7


@pytest.mark.parametrize("name", ["SERVICE", "SERVICE_HOSTS", "PORT_TCP", "PORT_8000", "PORT_8000_TCP_HOST"])
def test_variables_that_only_look_as_if_from_kubernetes_are_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"KESU_{name}", "1")
    with pytest.raises(InvalidInput, match=f"KESU_{name}: unknown setting"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("prot = 1", "did you mean 'port'?"),
        ("port = 'x'", "port: "),
        ("port = 70000", "port: "),
        ("port =", "not valid TOML"),
        ("host = '0.0.0.0'", "--new-key"),
        ("admin_keys = ['b']", "'b'"),
        ("[api_keys]\na = 'secret'", "api_keys.a"),
    ],
)
def test_wrong_file_is_told(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "kesu.toml"
    file.write_text(content)
    with pytest.raises(InvalidInput) as error:
        load_settings(file)
    assert words in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("KESU_PROT", "1", "KESU_PORT"), ("KESU_API_KEYS", "a:b", "JSON"), ("KESU_THREADS", "0", "threads")],
)
def test_wrong_variable_is_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput, match=words):
        load_settings()


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_settings(tmp_path / "none.toml")


def test_insecure_must_be_said_to_serve_others_without_keys() -> None:
    assert load_settings(options={"host": "0.0.0.0", "insecure": True}).insecure
