"""The network as an ONNX graph: fp32 for comparison, int8 for answering."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from model.network import DIMENSIONS, ComplaintModel

Floats = npt.NDArray[np.float32]
OPSET = 20  # the first in which GELU is one operator, not five
# Smaller matrices (the heads) gain nothing from int8 and lose precision.
SMALLEST_QUANTISED = 128
# Tables at least this large are stored in half precision: lookups are exact to fp16, weights shipped in fp16 anyway.
LARGE_TABLE = 1_000_000


class _Answering(nn.Module):
    """The network as it answers: one text, no padding, logits as a tuple in the order of ``DIMENSIONS``."""

    def __init__(self, network: ComplaintModel):
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor) -> tuple[Tensor, ...]:
        output = self.network(input_ids)
        return tuple(getattr(output, name) for name in DIMENSIONS)


def write_fp32(network: ComplaintModel, path: Path) -> None:
    """Trace ``network`` to ONNX: ``input_ids`` int64 ``[1, tokens]`` in, one ``[1, labels]`` a dimension out."""
    network = network.eval().float().cpu()
    network.encoder.config._attn_implementation = "eager"
    tokens = torch.export.Dim("tokens", min=3, max=network.encoder.config.max_position_embeddings)
    example = torch.full((1, 24), 7, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Answering(network),
            (example,),
            str(path),
            input_names=["input_ids"],
            output_names=list(DIMENSIONS),
            dynamic_shapes={"input_ids": {1: tokens}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _matrix_nodes(graph: onnx.GraphProto) -> list[str]:
    """Names of the MatMul nodes whose constant matrix is large on both sides: the encoder's dense layers."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type == "MatMul"
        and any(len(shapes.get(i, ())) == 2 and min(shapes[i]) >= SMALLEST_QUANTISED for i in node.input)
    ]


def _halve_tables(model: onnx.ModelProto) -> None:
    """Store large embedding tables as fp16 and cast the rows that are looked up."""
    tables = {
        tensor.name: tensor
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= LARGE_TABLE
    }
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "Gather" and node.input[0] in tables:
            tensor = tables[node.input[0]]
            if tensor.data_type == TensorProto.FLOAT:
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
            looked_up = node.output[0]
            node.output[0] = f"{looked_up}_half"
            name = f"{node.name}_cast"
            nodes.append(helper.make_node("Cast", [node.output[0]], [looked_up], to=TensorProto.FLOAT, name=name))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]  # the types of the looked-up rows changed


def _forget_origin(model: onnx.ModelProto) -> None:
    """Drop the exporter's notes, which hold stack traces with the paths of the machine that exported."""
    del model.metadata_props[:]
    model.doc_string = ""
    del model.graph.metadata_props[:]
    for item in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""


def _channel_maxima(
    model: onnx.ModelProto, tensors: Sequence[str], texts: Sequence[Sequence[int]]
) -> dict[str, Floats]:
    """Largest absolute value of each channel (last axis) of ``tensors`` over calibration ``texts`` (token ids)."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in tensors)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    maxima: dict[str, Floats] = {}
    for ids in texts:
        values = session.run(list(tensors), {"input_ids": np.asarray(ids, np.int64)[None]})
        for name, value in zip(tensors, values, strict=True):
            found = np.abs(value).reshape(-1, value.shape[-1]).max(0)
            maxima[name] = np.maximum(maxima.get(name, found), found)
    return maxima


def smooth(model: onnx.ModelProto, texts: Sequence[Sequence[int]], strength: float = 0.8) -> None:
    """Move outlier channels from activations into the weights, in place (SmoothQuant, Xiao et al. 2023).

    One scale has to serve all channels of an activation; a few of them are tens of times larger
    than the rest. Each input of a dense layer is divided by a factor a channel and the matrix's
    rows are multiplied by it: the same function, but easier to round.
    """
    matrices = {tensor.name: tensor for tensor in model.graph.initializer}
    consumers: dict[str, list[onnx.NodeProto]] = {}
    chosen = set(_matrix_nodes(model.graph))
    for node in model.graph.node:
        if node.name in chosen:
            consumers.setdefault(node.input[0], []).append(node)
    maxima = _channel_maxima(model, list(consumers), texts)
    factors: dict[str, str] = {}
    for number, (tensor, nodes) in enumerate(consumers.items()):
        weights = [numpy_helper.to_array(matrices[node.input[1]]) for node in nodes]
        rows = np.maximum.reduce([np.abs(weight).max(axis=1) for weight in weights])
        factor = (np.maximum(maxima[tensor], 1e-5) ** strength / np.maximum(rows, 1e-5) ** (1 - strength)).astype(
            np.float32
        )
        factor /= np.exp(np.log(factor).mean())
        for node, weight in zip(nodes, weights, strict=True):
            matrices[node.input[1]].CopyFrom(numpy_helper.from_array(weight * factor[:, None], node.input[1]))
        factors[tensor] = f"smooth_{number}"
        model.graph.initializer.append(numpy_helper.from_array(1.0 / factor, factors[tensor]))
    rewritten: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in model.graph.node:
        if node.name in chosen:
            tensor = node.input[0]
            if tensor not in done:
                done.add(tensor)
                scale = helper.make_node("Mul", [tensor, factors[tensor]], [f"{tensor}_smooth"], name=factors[tensor])
                rewritten.append(scale)
            node.input[0] = f"{tensor}_smooth"
        rewritten.append(node)
    del model.graph.node[:]
    model.graph.node.extend(rewritten)


def write_int8(fp32: Path, path: Path, texts: Sequence[Sequence[int]]) -> None:
    """Dynamic int8 quantisation of the encoder's dense layers (signed weights, one scale a column), fp16 tables.

    ``texts`` are token ids of a few dozen calibration texts. The graph is not fused first: fused
    attention and layer norms hinder quantisation and are slower on x86.
    """
    model = onnx.load(fp32)
    if not _matrix_nodes(model.graph):
        raise ValueError(f"{fp32}: holds no large MatMul to quantise")
    smooth(model, texts)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        smoothed = Path(scratch) / "smoothed.onnx"
        onnx.save(model, smoothed)
        quantize_dynamic(
            smoothed,
            path,
            nodes_to_quantize=_matrix_nodes(model.graph),
            op_types_to_quantize=["MatMul"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"MatMulConstBOnly": True},
        )
    quantised = onnx.load(path)
    _halve_tables(quantised)
    _forget_origin(quantised)
    onnx.checker.check_model(quantised)
    onnx.save(quantised, path)
