"""Count the floating point operations of a PyTorch module and of an exported graph.

A multiplication and an addition count as two. Only matrix work is counted: convolutions, products and attention; all
else is under one per cent of the denoiser's arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.engines.offline import import_onnxruntime
from samuel_runtime.leadsheet.raster import CHANNELS as SHEET_CHANNELS
from samuel_train.model.denoiser import Denoiser

onnxruntime = import_onnxruntime()

Shape = tuple[int, ...]


def of_module(module: nn.Module, *inputs: torch.Tensor) -> int:
    """Operations of one forward call."""
    # As plain products: PyTorch's counter does not know the fused attention of its CPU backend.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return counter.get_total_flops()


def of_graph(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> int:
    """Operations of one run with these inputs.

    Shapes that depend on values are beyond ONNX's shape inference, so they are taken from one run.
    """
    counted = [node for node in model.graph.node if node.op_type in _COUNT]
    names = dict.fromkeys(name for node in counted for name in (*node.input[:3], node.output[0]) if name)
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    wanted = [name for name in names if name not in shapes]
    shapes |= _shapes_in_a_run(model, inputs, wanted)
    return sum(_COUNT[node.op_type](node, shapes) for node in counted)


def of_guided_step(model: Denoiser, graphs: Mapping[GraphName, onnx.ModelProto], frames: int) -> tuple[int, int]:
    """Operations of a denoising step with guidance: as two calls of the model, and as the step graph."""
    latents = torch.zeros(1, model.config.latent_channels, frames)
    written = 2 * of_module(model, latents, latents, torch.tensor([0]))
    inputs = {"x": latents.numpy(), "scales": np.ones(2, np.float32)}
    sheet = {"sheet": np.zeros((1, SHEET_CHANNELS, frames), np.float32)} if model.sheet is not None else {}
    for name, given in ((GraphName.CONDITIONING, {"vocals": latents.numpy(), **sheet}),
                        (GraphName.TIMESTEPS, {"t": np.zeros(1, np.int64)})):  # fmt: skip
        session = _session(graphs[name])
        names = [output.name for output in session.get_outputs()]
        inputs |= dict(zip(names, session.run(names, given), strict=True))
    return written, of_graph(graphs[GraphName.STEP], inputs)


def _shapes_in_a_run(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], wanted: list[str]) -> dict[str, Shape]:
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    return {name: value.shape for name, value in zip(wanted, _session(shown).run(wanted, dict(inputs)), strict=True)}


def _session(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _convolution(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:
    _, per_group, *kernel = shapes[node.input[1]]  # (out, in / groups, k...)
    return 2 * prod(shapes[node.output[0]]) * per_group * prod(kernel)


def _transposed_convolution(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:
    _, per_group, *kernel = shapes[node.input[1]]  # (in, out / groups, k...)
    return 2 * prod(shapes[node.input[0]]) * per_group * prod(kernel)


def _product(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    depth = shapes[node.input[0]][-2 if transposed else -1]
    return 2 * prod(shapes[node.output[0]]) * depth


def _attention(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:
    queries, keys, values = (shapes[name] for name in node.input[:3])
    logits = 2 * prod(queries) * keys[-2]  # (..., frames, depth), heads among the leading axes or side by side
    return logits + 2 * prod(queries[:-1]) * keys[-2] * values[-1]


_COUNT = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "MatMul": _product,
    "Gemm": _product,
    "Attention": _attention,
}
