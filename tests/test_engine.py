from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model.artifact import ModelFolder
from model.cpus import available_cpus, cgroup_limit
from model.engine import HEADS, DummyEngine, Engine, Logits, OnnxEngine, head_sizes
from model.errors import InvalidArtefact, InvalidInput
from model.taxonomy import Taxonomy
from tests.toys import bag_of_tokens

BATCH = [[0, 200, 300, 2], [0, 7, 2], [0, *range(100, 160), 2], [0, 2], [0, 7, 2]]


def same(left: Logits, right: Logits) -> bool:
    return all(np.array_equal(getattr(left, head), getattr(right, head)) for head in HEADS)


def engine_of(folder: Path, taxonomy: Taxonomy, threads: int | None = None) -> OnnxEngine:
    return OnnxEngine(ModelFolder(folder).network, taxonomy, threads)


@pytest.fixture(params=["dummy", "onnx-1", "onnx-3"])
def engine(request: pytest.FixtureRequest, model_folder: Path, taxonomy: Taxonomy) -> Engine:
    if request.param == "dummy":
        return DummyEngine(taxonomy)
    return engine_of(model_folder, taxonomy, int(request.param[-1]))


def test_logits_shapes(engine: Engine, taxonomy: Taxonomy) -> None:
    for batch in (BATCH, BATCH[:1], []):
        logits = engine.logits(batch)
        assert len(logits) == len(batch)
        for head, size in head_sizes(taxonomy).items():
            values = getattr(logits, head)
            assert values.shape == (len(batch), size)
            assert values.dtype == np.float32
            assert np.isfinite(values).all()


def test_logits_of_a_text_do_not_depend_on_its_neighbours(engine: Engine) -> None:
    together = engine.logits(BATCH)
    for row, ids in enumerate(BATCH):
        assert same(together.rows(row, row + 1), engine.logits([ids]))
    assert same(together, engine.logits(BATCH))
    assert same(together.rows(1, 2), together.rows(4, 5))


def test_onnx_engine_computes_the_network_in_the_callers_order(
    model_folder: Path, taxonomy: Taxonomy, small_table: tuple[np.ndarray, np.ndarray]
) -> None:
    table, bias = small_table
    logits = engine_of(model_folder, taxonomy, 2).logits(BATCH * 5)
    expected = np.stack([table[ids].sum(axis=0) + bias for ids in BATCH * 5])
    np.testing.assert_allclose(np.concatenate([getattr(logits, h) for h in HEADS], axis=1), expected, atol=1e-4)


def test_onnx_engine_refuses_a_file_that_is_no_graph(tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = tmp_path / "model.int8.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(InvalidArtefact, match=r"model\.int8\.onnx: ONNX Runtime .* cannot load it"):
        OnnxEngine(path, taxonomy)
    with pytest.raises(InvalidArtefact, match="cannot load it"):
        OnnxEngine(tmp_path / "absent.onnx", taxonomy)


def test_onnx_engine_refuses_a_graph_of_other_labels(model_folder: Path, taxonomy: Taxonomy) -> None:
    fewer = dataclasses.replace(taxonomy, styles=taxonomy.styles[1:])
    with pytest.raises(InvalidArtefact, match="output style has 5 scores, but the taxonomy beside it has 4 labels"):
        engine_of(model_folder, fewer)


def test_onnx_engine_refuses_other_inputs_or_outputs(tmp_path: Path, taxonomy: Taxonomy) -> None:
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    path = tmp_path / "other.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    with pytest.raises(InvalidArtefact, match="has inputs x and outputs y"):
        OnnxEngine(path, taxonomy)


@pytest.mark.parametrize("threads", [1, 2])
def test_onnx_engine_names_numbers_that_are_not_finite(
    tmp_path: Path, taxonomy: Taxonomy, small_table: tuple[np.ndarray, np.ndarray], threads: int
) -> None:
    table, bias = small_table
    table = table.copy()
    table[7, 0] = np.nan
    path = tmp_path / "broken.onnx"
    bag_of_tokens(path, taxonomy, table, bias)
    engine = OnnxEngine(path, taxonomy, threads)
    assert len(engine.logits(BATCH[:1])) == 1
    with pytest.raises(InvalidArtefact, match="output causes is not a finite number for a text of 3 tokens"):
        engine.logits(BATCH)


def test_onnx_engine_explains_a_token_outside_the_vocabulary(model_folder: Path, taxonomy: Taxonomy) -> None:
    with pytest.raises(InvalidArtefact, match="may be of different models"):
        engine_of(model_folder, taxonomy).logits([[0, 10**6, 2]])


def test_onnx_engine_threads(model_folder: Path, taxonomy: Taxonomy) -> None:
    assert engine_of(model_folder, taxonomy).threads == available_cpus() >= 1
    assert engine_of(model_folder, taxonomy, 7).threads == 7
    with pytest.raises(InvalidInput, match="1 or more"):
        engine_of(model_folder, taxonomy, 0)


def test_cgroup_limit_takes_the_tightest_of_all_parents(tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    membership.write_text("0::/outer/inner\n")
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    assert cgroup_limit(tmp_path, membership) is None
    (inner / "cpu.max").write_text("max 100000\n")
    assert cgroup_limit(tmp_path, membership) is None
    (inner / "cpu.max").write_text("400000 100000\n")
    (inner.parent / "cpu.max").write_text("150000 100000\n")
    assert cgroup_limit(tmp_path, membership) == 1.5


def test_cgroup_limit_reads_version_1(tmp_path: Path) -> None:
    membership = tmp_path / "membership"
    membership.write_text("4:cpu,cpuacct:/box\n1:name=systemd:/\n")
    box = tmp_path / "cpu,cpuacct" / "box"
    box.mkdir(parents=True)
    (box / "cpu.cfs_period_us").write_text("100000\n")
    (box / "cpu.cfs_quota_us").write_text("-1\n")
    assert cgroup_limit(tmp_path, membership) is None
    (box / "cpu.cfs_quota_us").write_text("200000\n")
    assert cgroup_limit(tmp_path, membership) == 2
    assert cgroup_limit(tmp_path / "no", tmp_path / "where") is None


def test_available_cpus_is_cut_to_the_containers_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, expected in ((0.5, 1), (1.9, 1), (1000.0, available_cpus())):
        monkeypatch.setattr("model.cpus.cgroup_limit", lambda limit=limit: limit)
        assert available_cpus() == expected
