"""Format of the weights in a graph's file; the arithmetic does not change."""

from __future__ import annotations

from enum import Enum

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from samuel_export.graphs.builder import EXACT
from samuel_runtime.bundle.manifest import GraphName

_SMALLEST = 1024  # values; smaller tensors (biases, norms, tables) save nothing and stay exact
_SMALLEST_IN_BLOCKS = 1 << 17  # values; what is smaller, at the ends of the U-Net, is 4 % of it and most of the error
_BLOCK = 32  # values that share a scale
_STEPS = 127  # from zero to the largest of a block
_PACKED = (TensorProto.FLOAT16, TensorProto.INT8)


class WeightFormat(str, Enum):
    """Format of the weights in the files of a bundle."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"
    """Eight bits for the large weights of the step, half of a bundle, with a scale for each block of 32; fp16 for its
    small ones and in every other graph, whose errors nothing evens out: a codec's is heard at once, a table's is in
    every step alike."""

    def of_graph(self, name: GraphName) -> WeightFormat:
        """The format in the file of one graph."""
        return WeightFormat.FP16 if self is WeightFormat.INT8 and name is not GraphName.STEP else self


def pack_weights(model: onnx.ModelProto, weight_format: WeightFormat) -> onnx.ModelProto:
    """Store a model's large weights in this format; backends unpack them once, when they load it."""
    if weight_format is WeightFormat.FP32:
        return model
    stored, unpacking = [], []
    for tensor in model.graph.initializer:
        small = np.prod(tensor.dims) < _SMALLEST
        exact = tensor.data_type != TensorProto.FLOAT or small or tensor.name.endswith(EXACT)
        values = None if exact else numpy_helper.to_array(tensor)
        if values is None or np.abs(values).max() > np.finfo(np.float16).max:  # such as a mask's
            stored.append(tensor)
            continue
        blocks = weight_format is WeightFormat.INT8 and values.size >= _SMALLEST_IN_BLOCKS and values.size % _BLOCK == 0
        tensors, nodes = (_in_blocks if blocks else _halved)(tensor.name, values)
        stored += tensors
        unpacking += nodes
    return _rewritten(model, [*unpacking, *model.graph.node], stored)


def unpack_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The inverse of :func:`pack_weights`: every weight that is only unpacked becomes what it is unpacked to."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    unpacked: dict[str, np.ndarray] = {}
    nodes = []
    for node in model.graph.node:
        first = stored.get(node.input[0]) if node.input else None
        given = [unpacked[name] for name in node.input if name in unpacked]
        if node.op_type == "Cast" and first is not None and first.data_type in _PACKED and _to_float32(node):
            unpacked[node.output[0]] = numpy_helper.to_array(first).astype(np.float32)
        elif node.op_type == "Mul" and len(given) == 2:
            unpacked[node.output[0]] = given[0] * given[1]
        elif node.op_type == "Reshape" and given and node.input[1] in stored:
            unpacked[node.output[0]] = given[0].reshape(numpy_helper.to_array(stored[node.input[1]]))
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    gone = {name for node in model.graph.node if node.output[0] in unpacked for name in node.input} - used
    weights = [tensor for tensor in model.graph.initializer if tensor.name not in gone]
    weights += [numpy_helper.from_array(values, name) for name, values in unpacked.items() if name in used]
    return _rewritten(model, nodes, weights)


def _rewritten(model: onnx.ModelProto, nodes: list[NodeProto], weights: list[TensorProto]) -> onnx.ModelProto:
    """A copy with these nodes and initializers."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(weights)
    return result


def _halved(name: str, values: np.ndarray) -> tuple[list[TensorProto], list[NodeProto]]:
    half = numpy_helper.from_array(values.astype(np.float16), f"{name}_fp16")
    return [half], [_widened(half.name, name)]


def _in_blocks(name: str, values: np.ndarray) -> tuple[list[TensorProto], list[NodeProto]]:
    blocks = values.reshape(-1, _BLOCK)
    scales = (np.abs(blocks).max(axis=1, keepdims=True) / _STEPS).astype(np.float16)
    units = np.where(scales > 0, scales, 1).astype(np.float32)  # what is too small for half precision is zero
    steps = np.clip(np.round(blocks / units), -_STEPS, _STEPS) * (scales > 0)
    tensors = {"int8": steps.astype(np.int8), "scales": scales, "shape": np.array(values.shape, np.int64)}
    stored = [numpy_helper.from_array(array, f"{name}_{kind}") for kind, array in tensors.items()]
    wide = [_widened(tensor.name, f"{tensor.name}_fp32") for tensor in stored[:2]]
    scaled = helper.make_node("Mul", [node.output[0] for node in wide], [f"{name}_blocks"])
    return stored, [*wide, scaled, helper.make_node("Reshape", [scaled.output[0], stored[2].name], [name])]


def _widened(packed: str, name: str) -> NodeProto:
    return helper.make_node("Cast", [packed], [name], to=TensorProto.FLOAT)


def _to_float32(cast: NodeProto) -> bool:
    return any(attribute.name == "to" and attribute.i == TensorProto.FLOAT for attribute in cast.attribute)
