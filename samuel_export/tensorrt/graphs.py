"""The graphs that TensorRT engines are built from: a bundle's own, rewritten for a GPU.

    the sampler's update goes into the step     fused_step.py of the runtime says how; the loop then needs no host
    heads are padded to a size with a kernel    TensorRT has no fused attention for heads of 8, and none in float32
    arithmetic is typed                         its networks are strongly typed: precision is decided here
    transposed convolutions are not bfloat16    it has none

Nothing here needs PyTorch, a checkpoint or a GPU, so whoever has a bundle can have engines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from samuel_export.graphs.builder import Axis, GraphBuilder
from samuel_export.precision.convert import convert_precision
from samuel_export.precision.weights import unpack_weights
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import ENGINE_GRAPHS, GraphName
from samuel_runtime.diffusion import fused_step
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision

_LEAST_HEAD = 16
"""The smallest head size that TensorRT has a fused kernel for, in fp16 and bf16."""


def engine_graphs(bundle: Bundle, precision: Precision) -> dict[GraphName, onnx.ModelProto]:
    """The graphs to build engines from, in the order in which they run.

    Raises:
        UserError: the bundle's graphs are not in order, or typed in another low precision.
    """
    own = bundle.manifest.precision
    if own not in (Precision.FP32, precision):
        raise UserError(
            f"{bundle.folder}: is typed in {own.value}, so its engines cannot be {precision.value}; "
            f"use --precision {own.value}, or export it again in fp32"
        )
    found = {}
    for name in (one for one in GraphName if one in ENGINE_GRAPHS):
        graph = unpack_weights(onnx.load_from_string(bundle.read_graph(name)))
        if name is GraphName.STEP:
            graph = fused(graph)
        found[name] = named(
            buildable(convert_precision(graph, precision) if own is Precision.FP32 else graph, precision)
        )
    return found


def buildable(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """Rewrite a typed model where TensorRT lacks an operator in this precision.

    Raises:
        onnx.checker.ValidationError: if the model is malformed.
    """
    if precision is Precision.FP32:
        return unfused_attention(model)
    model = padded_heads(model)
    return float32_deconvolutions(model) if precision is Precision.BF16 else model


def fused(step: onnx.ModelProto) -> onnx.ModelProto:
    """Append the estimate of x_0, the inpainted prefix and the sampler's update to the step graph.

    Raises:
        onnx.checker.ValidationError: if the step graph is not one.
    """
    g = GraphBuilder.extending(step, "update_")
    shape: list[Axis] = [d.dim_param or d.dim_value for d in step.graph.input[0].type.tensor_type.shape.dim]
    x, output = step.graph.input[0].name, step.graph.output[0].name
    corrected_x, before, noise, known = (g.input(name, shape) for name in fused_step.LATENTS)
    held = g.input("held", [1, 1, shape[2]], TensorProto.BOOL)
    weights = g.input("update", [fused_step.COEFFICIENTS])
    parts = g.split_op("Split", fused_step.COEFFICIENTS, weights, axis=0, num_outputs=fused_step.COEFFICIENTS)

    x0 = _clamped(g, _weighted(g, parts[0:2], x, output), *parts[2:4])
    x0 = g.op("Where", held, known, x0)
    corrected_x = _weighted(g, parts[4:8], x, corrected_x, x0, before)
    following = _clamped(g, _weighted(g, parts[8:12], corrected_x, x0, before, noise), *parts[12:14])
    for name, value in zip(fused_step.OUTPUTS, (following, corrected_x, x0), strict=True):
        g.output(name, value, shape)
    return g.build()


def padded_heads(model: onnx.ModelProto) -> onnx.ModelProto:
    """Pad the heads of a model's attention with zeros to a size that has a fused kernel.

    Zeros add nothing to the scores, whose scale is explicit, and what they attend to is cut off again.

    Raises:
        onnx.checker.ValidationError: if the model is malformed.
    """
    return _replaced(model, "Attention", _padded)


def unfused_attention(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write a model's attention as products and softmax: float32 has no fused kernel.

    Raises:
        onnx.checker.ValidationError: if the model is malformed.
    """
    return _replaced(model, "Attention", _unfused)


def float32_deconvolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute the transposed convolutions of a bfloat16 model in float32.

    Raises:
        onnx.checker.ValidationError: if the model is malformed.
    """
    return _replaced(model, "ConvTranspose", _in_float32)


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """Name every node after its first output, so that TensorRT's messages can be understood."""
    for node in model.graph.node:
        node.name = f"{node.op_type}:{node.output[0]}"
    return model


_Rewrite = Callable[[onnx.NodeProto, onnx.GraphProto], list[onnx.NodeProto]]
"""A node -> what takes its place; constants go into the graph."""


def _replaced(model: onnx.ModelProto, kind: str, rewrite: _Rewrite) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes += rewrite(node, result.graph) if node.op_type == kind else [node]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    onnx.checker.check_model(result, full_check=True)
    return result


def _weighted(g: GraphBuilder, weights: list[str], *values: str) -> str:
    terms = [g.op("Mul", weight, value) for weight, value in zip(weights, values, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = g.op("Add", total, term)
    return total


def _clamped(g: GraphBuilder, value: str, least: str, most: str) -> str:
    return g.op("Max", g.op("Min", value, most), least)


def _padded(node: onnx.NodeProto, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The attention node as TensorRT takes it, with what goes before and after."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    # Its fused kernels keep the softmax in float32 anyhow, and its parser refuses to be told so.
    attributes.pop("softmax_precision", None)
    heads, size = _heads(node)
    attention = helper.make_node("Attention", list(node.input), list(node.output), **attributes)
    if size >= _LEAST_HEAD:
        return [attention]
    stem = node.output[0]

    def ints(name: str, *values: int) -> str:
        return _constant(graph, f"{stem}_{name}", np.array(values, np.int64))

    split, wide = ints("split", 0, 0, heads, size), ints("split_wide", 0, 0, heads, _LEAST_HEAD)
    join, join_wide = ints("join", 0, 0, heads * size), ints("join_wide", 0, 0, heads * _LEAST_HEAD)
    pads, last = ints("pads", 0, _LEAST_HEAD - size), ints("last", 3)
    nodes = []
    for place in range(3):  # queries, keys, values: (rows, frames, heads * size)
        names = [f"{stem}_{place}_{what}" for what in ("heads", "wide", "joined")]
        nodes += [
            helper.make_node("Reshape", [node.input[place], split], [names[0]]),
            helper.make_node("Pad", [names[0], pads, "", last], [names[1]]),
            helper.make_node("Reshape", [names[1], join_wide], [names[2]]),
        ]
        attention.input[place] = names[2]
    attention.output[0] = f"{stem}_wide"
    return [
        *nodes,
        attention,
        helper.make_node("Reshape", [f"{stem}_wide", wide], [f"{stem}_heads"]),
        helper.make_node("Slice", [f"{stem}_heads", ints("start", 0), ints("size", size), last], [f"{stem}_cut"]),
        helper.make_node("Reshape", [f"{stem}_cut", join], [stem]),
    ]


def _unfused(node: onnx.NodeProto, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """softmax(scale q k^T + mask) v as it is written."""
    stem, (heads, size) = node.output[0], _heads(node)
    split = _constant(graph, f"{stem}_split", np.array([0, 0, heads, size], np.int64))
    join = _constant(graph, f"{stem}_join", np.array([0, 0, heads * size], np.int64))
    scale = _constant(graph, f"{stem}_scale", np.array(size**-0.5, np.float32))
    nodes = []

    def op(kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        output = name if name == stem else f"{stem}_{name}"
        nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    turned = []
    for place, order in enumerate(([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])):  # queries, keys, values
        by_head = op("Reshape", f"{place}_heads", node.input[place], split)  # (rows, frames, heads, size)
        turned.append(op("Transpose", f"{place}_turned", by_head, perm=order))
    queries, keys, values = turned
    queries = op("Mul", "scaled", queries, op("CastLike", "scale_like", scale, queries))
    scores = op("MatMul", "scores", queries, keys)  # (rows, heads, frames, frames)
    if mask := "".join(node.input[3:4]):
        scores = op("Add", "masked", scores, mask)
    attended = op("MatMul", "attended", op("Softmax", "shares", scores, axis=-1), values)
    op("Reshape", stem, op("Transpose", "by_frame", attended, perm=[0, 2, 1, 3]), join)
    return nodes


def _in_float32(node: onnx.NodeProto, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The node between Casts from and to bfloat16, if it is in that."""
    if not any(t.name == node.input[1] and t.data_type == TensorProto.BFLOAT16 for t in graph.initializer):
        return [node]
    stem = node.output[0]
    wide = [f"{stem}_{place}_wide" for place in range(len(node.input))]
    casts = [helper.make_node("Cast", [a], [b], to=TensorProto.FLOAT) for a, b in zip(node.input, wide, strict=True)]
    result = onnx.NodeProto()
    result.CopyFrom(node)
    result.input[:], result.output[:] = wide, [f"{stem}_wide"]
    return [*casts, result, helper.make_node("Cast", [f"{stem}_wide"], [stem], to=TensorProto.BFLOAT16)]


def _heads(attention: onnx.NodeProto) -> tuple[int, int]:
    """Their number and size, which the scale tells: it is size ** -0.5."""
    attributes = {a.name: helper.get_attribute_value(a) for a in attention.attribute}
    return int(attributes["q_num_heads"]), round(float(attributes["scale"]) ** -2)


def _constant(graph: onnx.GraphProto, name: str, values: np.ndarray) -> str:
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name
