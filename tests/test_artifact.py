from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.artifact import ModelFolder, write_manifest
from model.atomic import atomic_writer
from model.decoding import Decoding
from model.errors import InvalidArtefact
from model.taxonomy import Taxonomy


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


def test_validate_reads_a_whole_folder(model_folder: Path) -> None:
    artefact = ModelFolder(model_folder).validate()
    assert (artefact.manifest.name, artefact.manifest.version) == ("toy", "1")
    assert artefact.manifest.training == {"rows": 0}
    assert artefact.taxonomy.version == artefact.manifest.taxonomy_version
    assert artefact.decoding == Decoding.uncalibrated(artefact.taxonomy, 64)
    assert ModelFolder(model_folder).is_valid()


@pytest.mark.parametrize(
    "name", ["manifest.json", "taxonomy.yaml", "tokenizer.json", "model.int8.onnx", "decoding.json"]
)
def test_validate_names_the_missing_file_and_the_layout(model_folder: Path, name: str) -> None:
    (model_folder / name).unlink()
    with pytest.raises(InvalidArtefact, match=r"missing.* holds manifest\.json") as caught:
        ModelFolder(model_folder).validate()
    assert str(model_folder / name) in str(caught.value)
    assert not ModelFolder(model_folder).is_valid()


def test_validate_refuses_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InvalidArtefact, match="no such folder"):
        ModelFolder(tmp_path / "nowhere").validate()


@pytest.mark.parametrize("name", ["taxonomy.yaml", "tokenizer.json", "model.int8.onnx", "decoding.json"])
def test_validate_finds_a_changed_byte_and_a_changed_size(model_folder: Path, name: str) -> None:
    path = model_folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidArtefact, match="SHA-256") as caught:
        ModelFolder(model_folder).validate()
    assert str(path) in str(caught.value)
    path.write_bytes(content[:-1])
    with pytest.raises(InvalidArtefact, match="bytes, but the manifest tells"):
        ModelFolder(model_folder).validate()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda raw: raw.update(format=2), "format 2 is not known"),
        (lambda raw: raw.pop("format"), "no format number"),
        (lambda raw: raw.pop("name"), "missing key 'name'"),
        (lambda raw: raw.update(colour="red"), "unknown key 'colour'"),
        (lambda raw: raw["files"].pop("tokenizer.json"), r"does not list tokenizer\.json"),
        (lambda raw: raw.update(files=["tokenizer.json"]), "files must map"),
        (lambda raw: raw.update(taxonomy_version="0"), "but the manifest tells '0'"),
    ],
)
def test_validate_refuses_another_manifest(model_folder: Path, change: Callable[[Any], object], problem: str) -> None:
    change_manifest(model_folder, change)
    with pytest.raises(InvalidArtefact, match=problem):
        ModelFolder(model_folder).validate()


@pytest.mark.parametrize("content", [b"{", b"", b"[]", b"\xff\xfe{", b"[" * 100_000])
def test_validate_refuses_a_manifest_that_is_no_json_object(model_folder: Path, content: bytes) -> None:
    (model_folder / "manifest.json").write_bytes(content)
    with pytest.raises(InvalidArtefact, match=r"manifest\.json"):
        ModelFolder(model_folder).validate()


def test_validate_finds_a_broken_taxonomy(model_folder: Path) -> None:
    (model_folder / "taxonomy.yaml").write_text("version: [", encoding="utf-8")
    with pytest.raises(InvalidArtefact, match="not a valid taxonomy"):
        write_manifest(model_folder, name="toy", version="2", training={})


def test_validate_finds_thresholds_of_other_labels(model_folder: Path) -> None:
    path = model_folder / "decoding.json"
    raw = json.loads(path.read_text())
    raw["cause_thresholds"].pop()
    path.write_text(json.dumps(raw))
    with pytest.raises(InvalidArtefact, match="cause_thresholds must be a list of 23 numbers"):
        write_manifest(model_folder, name="toy", version="2", training={})


def test_warm_start_files_are_checked_only_when_asked_for(model_folder: Path) -> None:
    with pytest.raises(InvalidArtefact, match="not be trained"):
        ModelFolder(model_folder).validate(warm_start=True)
    weights = model_folder / "torch" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    write_manifest(model_folder, name="toy", version="2", training={})
    assert ModelFolder(model_folder).is_valid(warm_start=True)
    weights.write_bytes(b"weightS")
    assert ModelFolder(model_folder).is_valid()
    assert not ModelFolder(model_folder).is_valid(warm_start=True)


def test_write_manifest_leaves_out_cards_and_hidden_files(model_folder: Path) -> None:
    (model_folder / "README.md").write_text("# card")
    (model_folder / ".note").write_text("x")
    artefact = write_manifest(model_folder, name="toy", version="2", training={})
    assert set(artefact.manifest.files) == {"taxonomy.yaml", "tokenizer.json", "model.int8.onnx", "decoding.json"}


def test_write_manifest_needs_every_file_first(model_folder: Path) -> None:
    (model_folder / "decoding.json").unlink()
    before = (model_folder / "manifest.json").read_bytes()
    with pytest.raises(InvalidArtefact, match=r"decoding\.json: missing; write it before"):
        write_manifest(model_folder, name="toy", version="2", training={})
    assert (model_folder / "manifest.json").read_bytes() == before


def test_decoding_survives_its_file(taxonomy: Taxonomy, tmp_path: Path) -> None:
    decoding = Decoding.uncalibrated(taxonomy)
    path = tmp_path / "decoding.json"
    path.write_text(json.dumps(decoding.to_dict()))
    assert Decoding.read(path, taxonomy) == decoding


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda raw: raw.update(format=9), "format 9"),
        (lambda raw: raw.update(extra=1), "unknown key 'extra'"),
        (lambda raw: raw.pop("max_causes"), "lacks key 'max_causes'"),
        (lambda raw: raw["temperature"].pop("style"), "temperature lacks key 'style'"),
        (lambda raw: raw["temperature"].update(style=0), "style must be"),
        (lambda raw: raw["temperature"].update(style=True), "finite number"),
        (lambda raw: raw.update(temperature=1), "temperature must be a mapping"),
        (lambda raw: raw["confidence"].update(weights=[1, 2]), "weights must be a list of 3 numbers"),
        (lambda raw: raw["no_complaint_confidence"].update(weights=1), "weights must be a list of 1 numbers"),
        (lambda raw: raw.pop("no_complaint_confidence"), "lacks key 'no_complaint_confidence'"),
        (lambda raw: raw.update(severity_cuts=[1, 2]), "severity_cuts must be a list of 3 numbers"),
        (lambda raw: raw.update(severity_cuts=[3, 2, 1]), "ascend"),
        (lambda raw: raw.update(style_offsets=[0] * 9), "style_offsets must be a list of 5"),
        (lambda raw: raw.update(motive_thresholds=[2] * 6), r"motive_thresholds\[0\] must be between 0 and 1"),
        (lambda raw: raw.update(motive_offsets=["0"] * 6), r"motive_offsets\[0\] must be a finite number"),
        (lambda raw: raw.update(complaint_threshold=float("nan")), "finite"),
        (lambda raw: raw.update(max_tokens=2), "max_tokens must be a whole number, 8 or more"),
        (lambda raw: raw.update(max_motives=1.5), "max_motives must be a whole number"),
        (lambda raw: raw.update(suggest_confidence=0.99), "must not exceed"),
    ],
)
def test_decoding_refuses(taxonomy: Taxonomy, change: Callable[[Any], object], problem: str) -> None:
    raw = json.loads(json.dumps(Decoding.uncalibrated(taxonomy).to_dict()))
    change(raw)
    with pytest.raises(InvalidArtefact, match=problem) as caught:
        Decoding.parse(raw, taxonomy, Path("some/decoding.json"))
    assert str(caught.value).startswith("some/decoding.json: ")


def test_decoding_of_format_1_takes_the_probability_of_no_complaint_as_confidence(taxonomy: Taxonomy) -> None:
    expected = Decoding.uncalibrated(taxonomy)
    raw = expected.to_dict() | {"format": 1}
    del raw["no_complaint_confidence"]
    assert Decoding.parse(json.loads(json.dumps(raw)), taxonomy, Path("decoding.json")) == expected


def test_atomic_writer_keeps_what_was_there_on_an_error(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_writer(path) as handle:
            handle.write("new")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.txt", "old")]


def test_atomic_writer_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    with atomic_writer(tmp_path / "link") as handle:
        handle.write("text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "text"
