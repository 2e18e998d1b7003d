"""Weights of a written graph, in the order in which its writer met them, and back in their layers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from samuel_train.codec.model.convnext import ConvNextBlock

CONVOLUTION_AXES = 4
LINEAR, BLOCK = 2, 8
"""Arrays of a linear layer and of a ConvNeXt block."""


def constants_in_order(graph: onnx.ModelProto) -> list[np.ndarray]:
    """Every constant of a graph, in the order in which its writer numbered them."""
    tensors = sorted(graph.graph.initializer, key=lambda tensor: int(re.sub(r"\D", "", tensor.name) or 0))
    return [numpy_helper.to_array(tensor) for tensor in tensors]


def learned_weights(graph: onnx.ModelProto, inputs: int) -> list[Tensor]:
    """What was learned, from the first layer on, which takes ``inputs`` values; without tables and constants."""
    arrays = constants_in_order(graph)
    learned = [torch.from_numpy(a.astype(np.float32)) for a in arrays if a.dtype.kind == "f" and a.ndim]
    return list(dropwhile(lambda weight: weight.ndim != 2 or len(weight) != inputs, learned))


def blocks_from(weights: list[Tensor], place: int) -> int:
    """How many ConvNeXt blocks stand one after the other from there on."""
    count = 0
    while weights[place + count * BLOCK].ndim == CONVOLUTION_AXES:
        count += 1
    return count


def fill_blocks(blocks: nn.Sequential, weights: Iterator[Tensor]) -> None:
    """Take the weights of ConvNeXt blocks."""
    for block in blocks:
        assert isinstance(block, ConvNextBlock)  # mypy: what a Sequential holds
        for parameter in (block.along_time.weight, block.along_time.bias, block.norm.weight, block.norm.bias):
            assert parameter is not None  # mypy: a layer's bias may be None; here every layer has one
            parameter.copy_(next(weights))
        fill_linear(block.widen, weights)
        fill_linear(block.narrow, weights)
        block.scale.fill_(1)  # it is part of the narrow layer's weights


def fill_linear(layer: nn.Linear, weights: Iterator[Tensor]) -> None:
    """Take the weights of a linear layer, which graphs have the other way round."""
    layer.weight.copy_(next(weights).T)
    layer.bias.copy_(next(weights))
