"""``kesu train``, ``adapt``, ``distil``, ``calibrate`` and ``export``: they parse, refuse clearly and print."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from model.artifact import ModelFolder, write_manifest
from model.errors import KesuError
from model.taxonomy import Taxonomy
from tests.tiny import keyword_rows
from training import cli

app = typer.Typer()
for command in (cli.train, cli.adapt, cli.distil, cli.calibrate, cli.export):
    app.command()(command)


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    """The message of a command that must refuse; ``serving.cli`` prints it and exits with 2."""
    result = invoke(*arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, KesuError), result.output
    return str(result.exception)


def test_cli_train_names_wrong_settings(tmp_path: Path) -> None:
    assert "optimisation.epochs" in refused("train", "--output", tmp_path, "--set", "optimisation.epochs=-1")
    assert "cannot be read" in refused("train", "--output", tmp_path, "--config", tmp_path / "none.toml")
    base = f"model.base={tmp_path / 'no' / 'base'}"
    assert "there is no such folder" in refused("train", "--output", tmp_path / "out", "--set", base)
    assert not any(tmp_path.iterdir())


def test_cli_train_does_not_run_over_an_earlier_training(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    assert "--resume" in refused("train", "--output", tmp_path)


def test_cli_train_refuses_a_file_as_its_output_before_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.train.train", lambda *_, **__: pytest.fail("went on"))
    (tmp_path / "notes").write_text("mine")
    for output in (tmp_path / "notes", tmp_path / "notes" / "run1"):
        told = refused("train", "--output", output)
        assert f"{tmp_path / 'notes'}: is a file, not a folder; name a new or empty folder with --output" in told


def test_cli_train_prints_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(settings: Any, output: Path, **options: Any) -> Any:
        assert options == {"name": "mine", "version": "2", "resume": True}
        assert settings.optimisation.epochs == 1.0
        return SimpleNamespace(folder=SimpleNamespace(path=output / "model")), SimpleNamespace(
            fp32={"index": 0.51}, int8={"index": 0.5}
        )

    monkeypatch.setattr("training.train.train", run)
    arguments = ("--set", "optimisation.epochs=1", "--name", "mine", "--version", "2", "--resume")
    result = invoke("train", "--output", tmp_path, *arguments)
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "model") in result.output
    assert "0.5000 (fp32 0.5100)" in result.output
    monkeypatch.setattr("training.train.train", lambda *_, **__: None)
    assert invoke("train", "--output", tmp_path).output == ""


def test_cli_adapt_refuses_what_it_cannot_read(tiny_base: Path, tmp_path: Path) -> None:
    assert "cannot be read" in refused("adapt", tiny_base, tmp_path / "none.jsonl", "--output", tmp_path / "out")
    texts = tmp_path / "a.jsonl"
    texts.write_text('{"text": "灯坏了"}\n{"text": "没人管"}\n', encoding="utf-8")
    assert "there is no such folder" in refused("adapt", tmp_path / "no" / "base", texts, "--output", tmp_path / "out")
    assert invoke("adapt", tiny_base, texts, "--output", tmp_path / "out", "--epochs", "0").exit_code == 2


def test_cli_distil_refuses_teachers_that_cannot_teach(model_folder: Path, tmp_path: Path) -> None:
    texts = tmp_path / "a.jsonl"
    texts.write_text('{"text": "灯坏了"}\n', encoding="utf-8")
    common = ("distil", texts, "--output", tmp_path / "soft.parquet", "--teacher")
    assert "came without torch/" in refused(*common, model_folder)
    assert "no such folder" in refused(*common, tmp_path / "none")
    assert "1 teachers but 2 weights" in refused(*common, model_folder, "--share", 1, "--share", 2)


def test_cli_calibrate_writes_thresholds_and_seals_the_folder(
    model_folder: Path, taxonomy: Taxonomy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.calibrate.RESAMPLES", 1)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(row.model_dump_json(exclude_none=True) for row in keyword_rows(taxonomy, 80)))
    before = json.loads((model_folder / "decoding.json").read_text())
    result = invoke("calibrate", model_folder, rows)
    assert result.exit_code == 0, result.output
    assert "auto from" in result.output
    assert json.loads((model_folder / "decoding.json").read_text()) != before
    assert ModelFolder(model_folder).validate().manifest.training["recalibrated_rows"] == 80
    assert "no such folder" in refused("calibrate", tmp_path / "none", rows)


def test_cli_calibrate_counts_complaints_without_a_cause(
    model_folder: Path,
    taxonomy: Taxonomy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("training.calibrate.RESAMPLES", 1)
    rows = keyword_rows(taxonomy, 80)
    complaints = sum(row.severity > 0 for row in rows)
    first = next(place for place, row in enumerate(rows) if row.motives)
    path = tmp_path / "rows.jsonl"

    def calibrate(*bare: int) -> Any:
        some = [row.model_copy(update={"causes": ()}) if i in bare else row for i, row in enumerate(rows)]
        path.write_text("\n".join(row.model_dump_json(exclude_none=True) for row in some))
        return invoke("calibrate", model_folder, path)

    assert calibrate(first).exit_code == 0
    assert f"1 of {complaints} complaints has no cause; leave it empty only where" in caplog.text
    before = (model_folder / "decoding.json").read_bytes()
    assert "calibration needs complaints with causes" in str(calibrate(*range(80)).exception)
    assert (model_folder / "decoding.json").read_bytes() == before


@pytest.fixture
def in_use(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder as an export leaves it, with warm-start weights, gate figures and a card."""
    monkeypatch.setattr("training.calibrate.RESAMPLES", 1)
    (model_folder / "torch").mkdir()
    (model_folder / "torch" / "model.safetensors").write_bytes(b"weights")
    difference = {"torch_onnx_fp32": 1e-6, "fp32_int8": 1.0}
    gate = {"fp32": {"index": 0.8}, "int8": {"index": 0.8}, "largest_logit_difference": difference}
    facts = {"rows": 9, "calibration_rows": 60, "gate": gate}
    write_manifest(model_folder, name="toy", version="1", training=facts)
    (model_folder / "README.md").write_text("the card")
    (model_folder / ".notes").write_text("mine")
    return model_folder


@pytest.fixture
def own_rows(taxonomy: Taxonomy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("\n".join(row.model_dump_json(exclude_none=True) for row in keyword_rows(taxonomy, 80)))
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("links", [True, False])
def test_cli_calibrate_changes_thresholds_and_what_was_measured_with_them(
    in_use: Path, own_rows: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    if not links:
        monkeypatch.setattr("os.link", refuse)
    before, network = files_of(in_use), (in_use / "model.int8.onnx").stat().st_ino
    link = in_use.with_name("link")
    link.symlink_to(in_use)
    assert invoke("calibrate", link, own_rows).exit_code == 0
    after = files_of(in_use)
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "decoding.json",
        "manifest.json",
    }
    assert ModelFolder(in_use).validate(warm_start=True).manifest.training == {
        "rows": 9,
        "gate": {"largest_logit_difference": {"torch_onnx_fp32": 1e-6, "fp32_int8": 1.0}},
        "recalibrated_rows": 80,
    }
    assert ((in_use / "model.int8.onnx").stat().st_ino == network) is links
    assert link.is_symlink()
    assert {path.name for path in in_use.parent.iterdir()} == {in_use.name, "link"}


def test_cli_calibrate_does_not_vouch_for_damaged_torch_weights(in_use: Path, own_rows: Path) -> None:
    (in_use / "torch" / "model.safetensors").write_bytes(b"weightz")
    before = files_of(in_use)
    assert "SHA-256" in refused("calibrate", in_use, own_rows)
    assert files_of(in_use) == before


@pytest.mark.parametrize("stage", ["write_manifest", "replace_folder"])
def test_cli_calibrate_that_is_stopped_leaves_the_old_model_whole(
    in_use: Path, own_rows: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    before = files_of(in_use)

    def stop(*_: object, **__: object) -> None:
        # What a kill at this point would leave behind: nothing after it runs.
        assert files_of(in_use) == before
        raise SystemExit(143)

    monkeypatch.setattr(f"training.recalibrate.{stage}", stop)
    assert invoke("calibrate", in_use, own_rows).exit_code == 143
    assert files_of(in_use) == before
    assert ModelFolder(in_use).is_valid(warm_start=True)
    assert [path.name for path in in_use.parent.iterdir()] == [in_use.name]


def test_cli_calibrate_refuses_a_mount_point(in_use: Path, own_rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda _: True)
    assert "mount the folder above it" in refused("calibrate", in_use, own_rows)


def test_cli_export_refuses_what_was_not_trained(tiny_base: Path, taxonomy: Taxonomy, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(row.model_dump_json(exclude_none=True) for row in keyword_rows(taxonomy, 60)))
    common = ("--calibration", rows, "--output", tmp_path / "model")
    assert "no kesu model" in refused("export", tiny_base, *common)
    assert "cannot be read" in refused("export", tiny_base, *common, "--taxonomy", tmp_path / "none.yaml")
    assert not (tmp_path / "model").exists()
