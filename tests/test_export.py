from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from data.schema import LabelledText
from model.artifact import ModelFolder
from model.classifier import Classifier
from model.engine import HEADS, Logits, OnnxEngine
from model.errors import InvalidArtefact, InvalidInput
from model.network import ComplaintModel, build
from model.taxonomy import DEFAULT_PATH, Taxonomy
from model.tokeniser import Tokeniser
from tests.tiny import keyword_rows
from training import export as module
from training.encoder import load_tokenizer
from training.export import QualityGateError, check_drop, check_parity, export, load_trained, replace_folder
from training.onnx_export import smooth, write_fp32, write_int8
from training.predict import predict

TOKENS = 48


@dataclass
class Exported:
    network: ComplaintModel
    tokenizer: PreTrainedTokenizerFast
    fp32: Path
    int8: Path


def engine_ids(exported: Exported, rows: list[LabelledText]) -> list[tuple[int, ...]]:
    tokeniser = Tokeniser(exported.tokenizer.backend_tokenizer, TOKENS)
    return [tokeniser.encode(row.text).ids for row in rows]


@pytest.fixture(scope="module")
def exported(tiny_base: Path, taxonomy: Taxonomy, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A random network, rounded to fp16 as an export does, and both of its graphs."""
    folder = tmp_path_factory.mktemp("graphs")
    network = build(str(tiny_base), taxonomy)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (network.queries, network.weights, network.biases):
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())
    write_fp32(network, folder / "fp32.onnx")
    done = Exported(network, load_tokenizer(tiny_base), folder / "fp32.onnx", folder / "int8.onnx")
    write_int8(done.fp32, done.int8, engine_ids(done, keyword_rows(taxonomy, 20, seed=8)))
    return done


@pytest.fixture
def quick(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graphs are copied instead of traced again; gate and calibration are those of an export."""
    monkeypatch.setattr(module, "write_fp32", lambda _, path: shutil.copyfile(exported.fp32, path))
    monkeypatch.setattr(module, "write_int8", lambda _, path, texts: shutil.copyfile(exported.int8, path))
    monkeypatch.setattr("training.calibrate.RESAMPLES", 1)
    # A random network is right by chance only: a row that flips says nothing of its int8 form.
    monkeypatch.setattr(module, "MAXIMUM_DROP", 1.0)


@pytest.fixture(scope="module")
def rows(taxonomy: Taxonomy) -> list[LabelledText]:
    return keyword_rows(taxonomy, 60, seed=9)


@pytest.fixture
def run(exported: Exported, taxonomy: Taxonomy, rows: list[LabelledText], quick: None) -> Callable[[Path], None]:
    def run(output: Path, *, calibration: list[LabelledText] = rows, **options: object) -> None:
        export(
            exported.network,
            exported.tokenizer,
            DEFAULT_PATH,
            taxonomy,
            calibration,
            output,
            name="tiny",
            version="7",
            max_tokens=TOKENS,
            facts={"rows": 60},
            **options,
        )

    return run


def test_onnx_fp32_equals_torch_at_every_length(exported: Exported, taxonomy: Taxonomy) -> None:
    engine = OnnxEngine(exported.fp32, taxonomy, threads=1)
    for length in (3, 4, 17, 96):
        ids = torch.randint(5, 500, (1, length), generator=torch.Generator().manual_seed(length))
        with torch.no_grad():
            output = exported.network.eval()(ids)
        found = engine.logits([ids[0].tolist()])
        for head in HEADS:
            assert np.allclose(getattr(found, head), getattr(output, head).numpy(), atol=1e-3)


def test_onnx_int8_is_small_close_and_quantises_the_encoder_only(exported: Exported, taxonomy: Taxonomy) -> None:
    graph = onnx.load(exported.int8).graph
    # Six dense layers in each of two encoder layers; the matrix of the queries is left alone.
    assert sum(node.op_type == "MatMulInteger" for node in graph.node) == 12
    assert exported.int8.stat().st_size < 0.8 * exported.fp32.stat().st_size
    rows = keyword_rows(taxonomy, 20)
    ids = engine_ids(exported, rows)
    exact = OnnxEngine(exported.fp32, taxonomy, threads=1).logits(ids)
    coarse = OnnxEngine(exported.int8, taxonomy, threads=1).logits(ids)
    assert np.corrcoef(exact.causes.ravel(), coarse.causes.ravel())[0, 1] > 0.99


def test_onnx_smoothing_changes_no_answer(exported: Exported, taxonomy: Taxonomy, tmp_path: Path) -> None:
    graph = onnx.load(exported.fp32)
    smooth(graph, engine_ids(exported, keyword_rows(taxonomy, 10)))
    onnx.save(graph, tmp_path / "smooth.onnx")
    ids = engine_ids(exported, keyword_rows(taxonomy, 5, seed=2))
    one, other = (
        OnnxEngine(path, taxonomy, threads=1).logits(ids) for path in (exported.fp32, tmp_path / "smooth.onnx")
    )
    assert module.largest_difference(one, other) < 1e-3


def test_onnx_large_tables_become_fp16_and_answers_stay(
    exported: Exported, taxonomy: Taxonomy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.onnx_export.LARGE_TABLE", 10_000)
    write_int8(exported.fp32, tmp_path / "half.onnx", engine_ids(exported, keyword_rows(taxonomy, 20, seed=8)))
    kinds = {tensor.data_type for tensor in onnx.load(tmp_path / "half.onnx").graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds
    assert (tmp_path / "half.onnx").stat().st_size < exported.int8.stat().st_size
    ids = engine_ids(exported, keyword_rows(taxonomy, 5))
    one, other = (OnnxEngine(path, taxonomy, threads=1).logits(ids) for path in (exported.int8, tmp_path / "half.onnx"))
    # The weights had been rounded to fp16 before.
    assert module.largest_difference(one, other) < 1e-4


def test_export_writes_a_model_that_answers(
    run: Callable[..., None], exported: Exported, taxonomy: Taxonomy, rows: list[LabelledText], tmp_path: Path
) -> None:
    run(tmp_path / "out" / "model")
    artefact = ModelFolder(tmp_path / "out" / "model").validate(warm_start=True)
    assert (artefact.manifest.name, artefact.manifest.version) == ("tiny", "7")
    assert artefact.manifest.training["rows"] == 60
    assert set(artefact.manifest.training["gate"]["int8"]) == set(module.HEADLINES)
    assert artefact.decoding.max_tokens == TOKENS
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["model"]
    answers = Classifier.load(tmp_path / "out" / "model", threads=1).classify([row.text for row in rows[:3]])
    assert len(answers) == 3
    network, tokenizer = load_trained(artefact.folder.warm_start, taxonomy)
    tokeniser = Tokeniser(tokenizer.backend_tokenizer, TOKENS)
    again = predict(network, tokeniser, [row.text for row in rows[:3]])
    wanted = predict(exported.network, tokeniser, [row.text for row in rows[:3]])
    assert module.largest_difference(again, wanted) < 1e-4


def test_export_replaces_a_model_and_keeps_its_card(run: Callable[..., None], model_folder: Path) -> None:
    (model_folder / "README.md").write_text("my card")
    (model_folder / "left.txt").write_text("over")
    run(model_folder, warm_start=False)
    assert ModelFolder(model_folder).validate().manifest.name == "tiny"
    assert (model_folder / "README.md").read_text() == "my card"
    assert not (model_folder / "left.txt").exists()
    assert not ModelFolder(model_folder).warm_start.exists()
    assert [p.name for p in model_folder.parent.iterdir()] == [model_folder.name]


def test_export_through_a_link_replaces_what_it_points_to(
    run: Callable[..., None], model_folder: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link" / "current"
    link.parent.mkdir()
    link.symlink_to(model_folder)
    run(link)
    assert link.is_symlink()
    assert ModelFolder(link).validate().manifest.name == "tiny"


def test_export_refuses_a_folder_that_is_no_model_and_leaves_it(run: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(InvalidArtefact, match="is no model folder"):
        run(tmp_path / "thesis")
    (tmp_path / "file").write_text("a file")
    with pytest.raises(InvalidArtefact, match="is no model folder"):
        run(tmp_path / "file")
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "thesis"]


def test_export_refuses_too_few_rows(run: Callable[..., None], rows: list[LabelledText], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="held-out rows"):
        run(tmp_path / "model", calibration=rows[:30])
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("stage", ["fit_decoding", "save_warm_start", "write_manifest", "check_drop"])
def test_export_that_fails_leaves_nothing_and_the_old_model_whole(
    run: Callable[..., None], model_folder: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(module, stage, fail)
    with pytest.raises(RuntimeError, match="disk on fire"):
        run(model_folder)
    assert ModelFolder(model_folder).validate().manifest.name == "toy"
    assert [p.name for p in model_folder.parent.iterdir()] == [model_folder.name]


def test_replace_folder_puts_the_old_model_back_when_the_new_one_cannot_be_moved(
    model_folder: Path, tmp_path: Path
) -> None:
    new = tmp_path / "scratch" / "model"
    new.parent.mkdir()
    with pytest.raises(OSError, match="No such file"):
        replace_folder(new, model_folder)
    assert ModelFolder(model_folder).is_valid()


@pytest.mark.parametrize("stopped", [1, 2])
def test_replace_folder_that_is_stopped_leaves_a_model(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: int
) -> None:
    new = Path(shutil.copytree(model_folder, tmp_path / "scratch" / "model"))
    rename, calls = Path.replace, []

    def interrupted(path: Path, target: Path) -> Path:
        calls.append(target)
        done = rename(path, target)
        if len(calls) == stopped:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_folder(new, model_folder)
    assert ModelFolder(model_folder).is_valid()


def test_export_refuses_int8_that_loses_accuracy(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "MAXIMUM_DROP", 0.001)
    calls = iter([0.8, 0.79])
    monkeypatch.setattr(module, "figures", lambda *_: dict.fromkeys(module.HEADLINES, next(calls)))
    with pytest.raises(QualityGateError, match=r"severity_qwk 0\.8000 -> 0\.7900"):
        run(tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_check_drop_allows_small_drops_and_any_gain() -> None:
    base = dict.fromkeys(module.HEADLINES, 0.8)
    check_drop(base, {**base, "index": 0.7951, "complaint_f1": 0.95}, 1000)
    with pytest.raises(QualityGateError, match=r"0\.5 points .* index 0\.8000 -> 0\.7900\. Train") as caught:
        check_drop(base, {**base, "index": 0.79}, 5000)
    assert "complaint_f1" not in str(caught.value)


def test_check_drop_allows_more_where_chance_moves_more() -> None:
    base = dict.fromkeys(module.HEADLINES, 0.8)
    check_drop(base, {**base, "index": 0.79}, 100)
    with pytest.raises(QualityGateError, match=r"1\.6 points"):
        check_drop(base, {**base, "index": 0.78}, 100)


def test_export_refuses_a_graph_whose_answers_hang_on_the_neighbours(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Batching(OnnxEngine):
        def logits(self, batch):  # type: ignore[no-untyped-def]
            plain = super().logits(batch)
            return replace(plain, causes=plain.causes + np.float32(1e-4 * (len(batch) - 1)))

    monkeypatch.setattr(module, "OnnxEngine", Batching)
    monkeypatch.setattr(module, "FP32_TOLERANCE", 1.0)
    with pytest.raises(QualityGateError, match="neighbours"):
        run(tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_check_parity_refuses_an_unfaithful_graph() -> None:
    rng = np.random.default_rng(0)
    one = Logits(*(rng.normal(size=(3, size)).astype(np.float32) for size in (4, 3, 4, 2)))
    off = replace(one, style=one.style + np.float32(0.01))
    assert check_parity(one, one, one, one) == 0.0
    with pytest.raises(QualityGateError, match="not faithful"):
        check_parity(one, off, one, one)
    with pytest.raises(QualityGateError, match="neighbours"):
        check_parity(one, one, one, off)


def test_load_trained_refuses_other_models_and_other_labels(
    exported: Exported, tiny_base: Path, taxonomy: Taxonomy, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="no kesu model"):
        load_trained(tiny_base, taxonomy)
    with pytest.raises(InvalidInput, match="no trained model"):
        load_trained(tmp_path / "none", taxonomy)
    exported.network.save_pretrained(tmp_path / "best")
    with pytest.raises(InvalidInput, match="no tokenizer"):
        load_trained(tmp_path / "best", taxonomy)
    exported.tokenizer.save_pretrained(tmp_path / "best")
    load_trained(tmp_path / "best", taxonomy)
    fewer = replace(taxonomy, motives=taxonomy.motives[1:], version="other")
    with pytest.raises(InvalidInput, match="other labels than taxonomy other"):
        load_trained(tmp_path / "best", fewer)
