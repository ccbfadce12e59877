"""Small stand-ins for what a model is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.engine import HEADS, head_sizes
from model.taxonomy import Taxonomy

# The toy model of conftest.py knows: 丢 delivery, 坏 defect, 赔 compensation, 谢 not a complaint.
LOST_PARCEL = "快递弄丢了，客服一直不理我，要求赔钱。"
THANKS = "谢谢客服的帮助。"


def bag_of_tokens(path: Path, taxonomy: Taxonomy, table: np.ndarray, bias: np.ndarray) -> None:
    """Write a network: logits = ``bias`` + the sum of the tokens' rows of ``table`` [vocabulary, all heads]."""
    sizes = head_sizes(taxonomy)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"], axis=0),
        helper.make_node("ReduceSum", ["rows", "axis"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "bias"], ["all"]),
        helper.make_node("Split", ["all", "sizes"], list(HEADS), axis=1),
    ]
    constants = {
        "table": table.astype(np.float32),
        "bias": bias.astype(np.float32),
        "axis": np.array([1], np.int64),
        "sizes": np.array([sizes[head] for head in HEADS], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "bag_of_tokens",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "length"])],
        [helper.make_tensor_value_info(head, TensorProto.FLOAT, [1, sizes[head]]) for head in HEADS],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
