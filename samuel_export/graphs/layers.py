"""PyTorch's layers as nodes, each with the weights that it has."""

from __future__ import annotations

from torch import Tensor, nn

from samuel_export.graphs.builder import GraphBuilder


def weight(g: GraphBuilder, tensor: Tensor) -> str:
    """A trained tensor as a constant."""
    return g.weight(tensor.detach().numpy())


def convolution(g: GraphBuilder, x: str, layer: nn.Conv1d | nn.Conv2d, **attributes: list[int]) -> str:
    """A convolution with a bias; its kernel's shape, strides, pads and dilations are the caller's to name."""
    assert layer.bias is not None  # mypy: every layer has one
    return g.op("Conv", x, weight(g, layer.weight), weight(g, layer.bias), **attributes)


def batch_norm(g: GraphBuilder, x: str, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> str:
    """A batch norm by its running statistics."""
    assert norm.running_mean is not None and norm.running_var is not None  # mypy: they are tracked
    constants = (weight(g, t) for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var))
    return g.op("BatchNormalization", x, *constants, epsilon=norm.eps)
