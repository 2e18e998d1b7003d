"""Stable Audio Open's autoencoder, Oobleck, as graphs.

What is not as in PyTorch, and why; the function is the same:

- A transposed convolution of stride s and kernel 2 s is a convolution of kernel 2 to s times the channels, whose
  outputs are interleaved (sub-pixel convolution; Shi et al., 2016). It computes no more than the transposed one, which
  OpenVINO runs six times slower in bfloat16, and which TensorRT is slow at.
- Snake's exponentials and its reciprocal are constants; its square is a product, not a power.
- The encoder's last convolution makes the posterior's mean alone, not its scale.

Convolutions stay one-dimensional: as two-dimensional ones, 1 x k, ONNX Runtime runs them in blocked layout, which is no
faster here (Snake's sines are not, so every value is copied there and back) and takes 200 MB more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from torch import Tensor, nn

from samuel_export.graphs.builder import GraphBuilder
from samuel_train.codec.model.oobleck import OobleckCodec

_DIVISION_GUARD = 1e-9  # diffusers adds it to Snake's beta


def encoder_graph(codec: OobleckCodec) -> onnx.ModelProto:
    """waveform (1, channels, samples) -> latents (1, latent channels, frames)."""
    network: Any = codec.encoder.encoder
    writer = _Writer("encoder")
    x = writer.input("waveform", codec.facts.channels, "samples")
    x = writer.convolution(x, network.conv1)
    for block in network.block:
        for unit in (block.res_unit1, block.res_unit2, block.res_unit3):
            x = writer.residual_unit(x, unit)
        x = writer.convolution(writer.snake(x, block.snake1), block.conv1)
    x = writer.convolution(writer.snake(x, network.snake1), network.conv2, kept=codec.facts.latent_channels)
    return writer.model(x, "latents", codec.facts.latent_channels, "frames")


def decoder_graph(codec: OobleckCodec) -> onnx.ModelProto:
    """latents (1, latent channels, frames) -> waveform (1, channels, samples)."""
    network: Any = codec.decoder
    writer = _Writer("decoder")
    x = writer.input("latents", codec.facts.latent_channels, "frames")
    x = writer.convolution(x, network.conv1)
    for block in network.block:
        x = writer.upsampling(writer.snake(x, block.snake1), block.conv_t1)
        for unit in (block.res_unit1, block.res_unit2, block.res_unit3):
            x = writer.residual_unit(x, unit)
    x = writer.convolution(writer.snake(x, network.snake1), network.conv2)
    return writer.model(x, "waveform", codec.facts.channels, "samples")


class _Writer:
    """The layers of Oobleck; every value between them is (1, channels, samples)."""

    def __init__(self, name: str) -> None:
        self._graph = GraphBuilder(name)

    def input(self, name: str, channels: int, axis: str) -> str:
        """The graph's input, (1, channels, ``axis``)."""
        return self._graph.input(name, (1, channels, axis))

    def model(self, x: str, name: str, channels: int, axis: str) -> onnx.ModelProto:
        """The finished graph with ``x`` as its output, (1, channels, ``axis``)."""
        self._graph.output(name, x, (1, channels, axis))
        return self._graph.build()

    def convolution(self, x: str, layer: nn.Conv1d, kept: int | None = None) -> str:
        """As in PyTorch; the first ``kept`` channels alone, where that is given."""
        bias = None if layer.bias is None else _array(layer.bias)[:kept]
        padding = int(layer.padding[0])
        return self._convolved(
            x, _array(layer.weight)[:kept], bias,
            strides=layer.stride, pads=(padding, padding), dilations=layer.dilation,
        )  # fmt: skip

    def residual_unit(self, x: str, unit: Any) -> str:
        """x + conv(snake(conv(snake(x))))."""
        change = self.convolution(self.snake(x, unit.snake1), unit.conv1)
        change = self.convolution(self.snake(change, unit.snake2), unit.conv2)
        return self._graph.op("Add", x, change)

    def snake(self, x: str, layer: Any) -> str:
        """x + sin^2(alpha x) / beta, alpha and beta of each channel (Ziyin et al., 2020)."""
        g = self._graph
        alpha, beta = (np.exp(_array(one)).reshape(-1, 1) for one in (layer.alpha, layer.beta))
        sine = g.op("Sin", g.op("Mul", x, g.weight(alpha)))
        return g.op("Add", x, g.op("Mul", g.op("Mul", sine, sine), g.weight(1 / (beta + _DIVISION_GUARD))))

    def upsampling(self, x: str, layer: nn.ConvTranspose1d) -> str:
        """A transposed convolution of stride s and kernel 2 s: y[s m + r] = W[r] x[m] + W[r + s] x[m - 1], cropped."""
        g = self._graph
        weight = _array(layer.weight)  # (inputs, outputs, 2 s)
        stride, padding = layer.stride[0], int(layer.padding[0])
        inputs, outputs, taps = weight.shape
        if taps != 2 * stride:
            raise ValueError(f"an upsampling by {stride} with {taps} taps is not Oobleck's")
        # (inputs, outputs, tap m - 1 or m, r) -> (outputs * s, inputs, 2)
        pair = np.stack([weight[:, :, stride:], weight[:, :, :stride]], axis=2)
        phases = pair.transpose(1, 3, 0, 2).reshape(outputs * stride, inputs, 2)
        y = self._convolved(x, phases, np.repeat(_array(layer.bias), stride), pads=(1, 1))
        y = g.op("Reshape", y, g.ints(0, outputs, stride, -1))  # (1, outputs, s, samples + 1)
        y = g.op("Transpose", y, perm=[0, 1, 3, 2])
        y = g.op("Reshape", y, g.ints(0, outputs, -1))  # (1, outputs, s * (samples + 1))
        return g.op("Slice", y, g.ints(padding), g.ints(-padding), g.ints(2))

    def _convolved(self, x: str, weight: np.ndarray, bias: np.ndarray | None, **attributes: tuple[int, ...]) -> str:
        """Convolve with ``weight`` (outputs, inputs, taps)."""
        constants = map(self._graph.weight, [weight] if bias is None else [weight, bias])
        return self._graph.op("Conv", x, *constants, kernel_shape=weight.shape[2:], **attributes)


def _array(tensor: Tensor | None) -> np.ndarray:
    assert tensor is not None  # mypy: a layer's bias may be None; Oobleck's upsampling has one
    return tensor.detach().double().numpy()
