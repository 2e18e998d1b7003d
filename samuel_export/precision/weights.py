"""Format of the weights in a graph's file; the arithmetic does not change."""

from __future__ import annotations

from enum import Enum

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from samuel_export.graphs.builder import EXACT

_SMALLEST = 1024  # values; smaller tensors (biases, norms, tables) save nothing and stay exact


class WeightFormat(str, Enum):
    """Format of the weights in the file."""

    FP32 = "fp32"
    FP16 = "fp16"


def pack_weights(model: onnx.ModelProto, weight_format: WeightFormat) -> onnx.ModelProto:
    """Store a model's large weights in this format; backends unpack them once, when they load it."""
    if weight_format is WeightFormat.FP32:
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph, casts = result.graph, []
    for tensor in graph.initializer:
        small = np.prod(tensor.dims) < _SMALLEST
        if tensor.data_type != TensorProto.FLOAT or small or tensor.name.endswith(EXACT):
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:  # such as a mask's
            continue
        half = numpy_helper.from_array(values.astype(np.float16), f"{name}_fp16")
        tensor.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return result


def unpack_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The inverse of :func:`pack_weights`: every weight that only a Cast reads becomes what it is cast to."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    halves = {t.name: numpy_helper.to_array(t) for t in graph.initializer if t.data_type == TensorProto.FLOAT16}
    nodes, weights = [], [t for t in model.graph.initializer if t.name not in halves]
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in halves and _to_float32(node):
            weights.append(numpy_helper.from_array(halves[node.input[0]].astype(np.float32), node.output[0]))
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    weights += [t for t in model.graph.initializer if t.name in halves and t.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    return result


def _to_float32(cast: onnx.NodeProto) -> bool:
    return any(attribute.name == "to" and attribute.i == TensorProto.FLOAT for attribute in cast.attribute)
