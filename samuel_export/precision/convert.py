"""Convert a float32 graph to mixed precision: heavy nodes in fp16 or bf16, sensitive ones in float32.

Three rules decide for every node, from the graph alone:

- Attention and the products of a value with weights (convolutions, matrix products) are low. A product of two
  computed values is not: that is guidance, which enlarges the small difference of its branches.
- So are the elementwise work and the data movement *between* products. Before the first and after the last,
  values stay float32: timesteps, rotary angles, waveforms.
- Everything else is an island of float32: norms, means, softmax, functions of a wide range. What a logarithm is
  taken of, and what an exponential scales, spans many orders of magnitude: spectra. So the products on those
  paths, the Fourier transforms of the codec, are float32 too.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from samuel_export.precision.casts import insert_casts
from samuel_export.precision.dataflow import Dataflow
from samuel_runtime.settings import Precision

_ELEMENT_TYPES = {Precision.FP16: TensorProto.FLOAT16, Precision.BF16: TensorProto.BFLOAT16}
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_ELEMENTWISE = frozenset({"Add", "Div", "Gelu", "Mul", "RotaryEmbedding", "Sigmoid", "Sin", "Sub"})
_RESHAPING = frozenset({"Expand", "Reshape", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"})
"""Neither joins values nor drops any: a Cast before it is as good as one after it, and smaller or as large."""
_MOVEMENT = _RESHAPING | {"Concat", "Gather", "Identity", "Pad", "Slice"}
_MASK = 3
"""The input of Attention that is added to its scores."""


def convert_precision(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """Convert a float32 model to mixed precision; its inputs and outputs stay float32.

    Raises:
        onnx.checker.ValidationError: if the result is malformed, or of an operator set older than 23.
        onnx.shape_inference.InferenceError: if the types do not fit.
    """
    if precision is Precision.FP32:
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    dataflow = Dataflow(result)
    low = _low_precision_nodes(result, dataflow, precision)
    for index in low:
        node = result.graph.node[index]
        if node.op_type == "Attention":
            node.attribute.append(helper.make_attribute("softmax_precision", TensorProto.FLOAT))
    insert_casts(
        result, dataflow, low, _ELEMENT_TYPES[precision], lambda tensor, name: _convert_weight(tensor, name, precision)
    )
    onnx.checker.check_model(result, full_check=True)
    return result


def _low_precision_nodes(model: onnx.ModelProto, dataflow: Dataflow, precision: Precision) -> set[int]:
    """Indices of the nodes that compute in low precision."""
    nodes = model.graph.node
    places = range(len(nodes))
    logarithms = {i for i in places if nodes[i].op_type == "Log"}
    exponentials = {i for i in places if nodes[i].op_type == "Exp"} - dataflow.descendants(
        logarithms
    )  # those are powers
    wide_range = dataflow.ancestors(logarithms) | dataflow.descendants(exponentials)
    fitting = {i for i in places if dataflow.outputs[i] and _fits(nodes[i], dataflow, precision)} - wide_range
    products = {i for i in fitting if _is_product(nodes[i], dataflow)}
    between = dataflow.descendants(products) & dataflow.ancestors(products)
    low = products | {i for i in fitting & between if nodes[i].op_type in _ELEMENTWISE | _MOVEMENT}
    for i in reversed(places):  # cast once before a Split, not each of its outputs
        readers = [reader for value in dataflow.outputs[i] for reader in dataflow.readers.get(value, [None])]
        if i in fitting and nodes[i].op_type in _RESHAPING and low.issuperset(readers):
            low.add(i)
    return low


def _is_product(node: onnx.NodeProto, dataflow: Dataflow) -> bool:
    weighted = any(value in dataflow.weights for value in node.input[:2])
    return node.op_type == "Attention" or (node.op_type in _PRODUCTS and weighted)


def _fits(node: onnx.NodeProto, dataflow: Dataflow, precision: Precision) -> bool:
    """Whether the type can hold the node's weights: none overflows, and no single number (such as a floor) vanishes."""
    if precision is Precision.BF16:  # the range of float32
        return True
    half = np.finfo(np.float16)
    for place, name in enumerate(node.input):
        if name not in dataflow.weights or (node.op_type == "Attention" and place == _MASK):
            continue
        magnitude = np.abs(numpy_helper.to_array(dataflow.weights[name]))
        if magnitude.max(initial=0) > half.max or (magnitude.size == 1 and 0 < magnitude.min() < half.smallest_normal):
            return False
    return True


def _convert_weight(tensor: onnx.TensorProto, name: str, precision: Precision) -> onnx.TensorProto:
    """Round to the nearest, ties to even."""
    values = numpy_helper.to_array(tensor)
    if precision is Precision.FP16:
        limit = np.finfo(np.float16).max  # only masks reach it, and their exponential stays zero
        return numpy_helper.from_array(np.clip(values, -limit, limit).astype(np.float16), name)
    bits = np.ascontiguousarray(values).view(np.uint32)
    upper = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")  # the upper half of a float32 is a bfloat16
    return helper.make_tensor(name, TensorProto.BFLOAT16, tensor.dims, upper.tobytes(), raw=True)
