from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import InvalidInput
from training.config import load_config


def test_config_defaults_are_valid() -> None:
    config = load_config()
    assert config.data.train == ["corpus"]
    assert config.model.base == "shipped"


def test_config_file_changes_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text("[optimisation]\nepochs = 2\n[data]\nweights = {authored = 0.7}\n", encoding="utf-8")
    config = load_config(path)
    assert config.optimisation.epochs == 2.0
    assert config.data.weights == {"authored": 0.7}
    assert config.optimisation.seed == load_config().optimisation.seed


def test_config_overrides_come_last_and_take_the_type_of_the_field(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text("[optimisation]\nepochs = 2\n", encoding="utf-8")
    config = load_config(
        path,
        [
            "optimisation.epochs=0.5",
            "data.train=corpus,new.xlsx",
            "data.soft=",
            "data.weights={real = 2}",
            "optimisation.precision=fp32",
            "model.base=some/folder",
        ],
    )
    assert config.optimisation.epochs == 0.5
    assert config.data.train == ["corpus", "new.xlsx"]
    assert config.data.soft == []
    assert config.data.weights == {"real": 2.0}
    assert config.optimisation.precision == "fp32"
    assert config.model.base == "some/folder"


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("optimisation.epochs=0", "optimisation.epochs"),
        ("optimisation.epochs=inf", "optimisation.epochs"),
        ("optimisation.epochs=nan", "optimisation.epochs"),
        ("optimisation.epochs=many", "optimisation.epochs"),
        ("optimisation.precision=fp8", "optimisation.precision"),
        ("model.max_tokens=100000", "model.max_tokens"),
        ("data.train=", "data.train"),
        ("optimisation.epoch=1", "optimisation.epoch=1"),
        ("epochs=1", "section.field=value"),
        ("optimisation.epochs", "section.field=value"),
        ("optimisation=1", "section.field=value"),
    ],
)
def test_config_names_what_is_wrong_with_an_override(override: str, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        load_config(overrides=[override])


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[optimisation]\nepoch = 1\n", "optimisation.epoch"),
        ("[optimiser]\nepochs = 1\n", "optimiser"),
        ("data = 3\n", "data"),
        ("epochs == 1", "not valid TOML"),
    ],
)
def test_config_names_what_is_wrong_with_a_file(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=named) as caught:
        load_config(path)
    assert "my.toml" in str(caught.value)


def test_config_names_a_missing_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not valid TOML"):
        load_config(tmp_path / "bytes.toml")
