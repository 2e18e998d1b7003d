"""Low-precision arithmetic without kernels for it: each operation in float32, its result rounded."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper

from samuel_export.precision.convert import _MOVEMENT


def elements(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of every value, by inference."""
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = {v.name: v.type.tensor_type.elem_type for v in [*graph.input, *graph.output, *graph.value_info]}
    return {**values, **{tensor.name: tensor.data_type for tensor in graph.initializer}}


def rounded(model: onnx.ModelProto, low: int) -> onnx.ModelProto:
    """A typed model as one of float32 that rounds where it would; optimisers must be off, or they drop the Casts."""
    types = elements(model)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    for tensor in graph.initializer:
        if tensor.data_type == low:
            values = numpy_helper.to_array(tensor).astype("float32")
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    nodes = []
    for node in graph.node:
        outputs = [name for name in node.output if types.get(name) == low]
        if node.op_type == "Cast":
            node.op_type = "Identity" if types.get(node.input[0]) == low or outputs else "Cast"
            if node.op_type == "Identity":
                node.ClearField("attribute")
        nodes.append(node)
        if node.op_type in _MOVEMENT - {"Identity"}:
            continue
        for name in outputs:
            node.output[list(node.output).index(name)] = f"{name}_exact"
            nodes.append(helper.make_node("Cast", [f"{name}_exact"], [f"{name}_low"], to=low))
            nodes.append(helper.make_node("Cast", [f"{name}_low"], [name], to=TensorProto.FLOAT))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    return result
