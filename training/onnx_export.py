"""The network as an ONNX graph: fp32 for comparison, int8 for answering."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from model.network import DIMENSIONS, ComplaintModel

OPSET = 18
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
    network = network.eval().float()
    network.encoder.config._attn_implementation = "eager"
    example = torch.full((1, 24), 7, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Answering(network),
            (example,),
            str(path),
            input_names=["input_ids"],
            output_names=list(DIMENSIONS),
            dynamic_shapes={"input_ids": {1: torch.export.Dim("tokens", min=3, max=network.encoder.config.max_position_embeddings)}},
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
            nodes.append(helper.make_node("Cast", [node.output[0]], [looked_up], to=TensorProto.FLOAT, name=f"{node.name}_cast"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]  # the types of the looked-up rows changed


def write_int8(fp32: Path, path: Path) -> None:
    """Dynamic int8 quantisation of the encoder's dense layers (signed weights, one scale a column), fp16 tables.

    The graph is not fused first: fused attention and layer norms hinder quantisation and are slower on x86.
    """
    model = onnx.load(fp32)
    nodes = _matrix_nodes(model.graph)
    if not nodes:
        raise ValueError(f"{fp32}: holds no large MatMul to quantise")
    quantize_dynamic(
        fp32,
        path,
        nodes_to_quantize=nodes,
        op_types_to_quantize=["MatMul"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"MatMulConstBOnly": True},
    )
    quantised = onnx.load(path)
    _halve_tables(quantised)
    onnx.checker.check_model(quantised)
    onnx.save(quantised, path)
