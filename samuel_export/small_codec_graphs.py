"""The small codec's two halves as graphs.

What is not as in PyTorch, and why; the function is the same:

- The Fourier transforms are products (fourier_graph.py), and spectra stay in the layout that those want: features are
  gathered from it in another order than PyTorch's, and the weights that read them are reordered instead.
- Scales and offsets that a linear layer follows or precedes are part of its weights.
- The depthwise convolution is two-dimensional, 1 x k, for which ONNX Runtime has the faster kernel.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from torch import Tensor, nn

from samuel_export.builder import GraphBuilder
from samuel_export.fourier_graph import HALF, ROWS, spectrum, waveform
from samuel_train.codec.convnext import ConvNextBlock
from samuel_train.codec.small import (
    BAND_BINS,
    FOURFOLD_BINS,
    LEVEL_CENTRE,
    LEVEL_SPREAD,
    LOUDEST_LOG_MAGNITUDE,
    PHASE_COMPRESSION,
    PHASED_BINS,
    POWER_FLOOR,
    SINGLE_BINS,
    SKIP_GROUP,
    VALUES,
    BandHead,
    SmallCodec,
    SmallDecoder,
    SmallEncoder,
)
from samuel_train.codec.stft import STEPS

_CHANNELS = 2


def encoder_graph(codec: SmallCodec) -> onnx.ModelProto:
    """waveform (1, 2, samples) -> latents (1, latent channels, frames)."""
    g, encoder = GraphBuilder("encoder"), codec.encoder
    bins = spectrum(g, g.input("waveform", (1, _CHANNELS, "samples")), encoder.analysis)
    levels, phased = _features(g, bins)
    entered = g.op("Add", *_entered(g, encoder, levels, phased))  # (4 frames, width)
    x = _blocks(g, encoder.fine, g.op("Unsqueeze", entered, g.ints(0, 1)))
    x = g.op("Reshape", x, g.ints(1, 1, -1, STEPS * codec.config.encoder_width))
    x = _linear(g, _blocks(g, encoder.coarse, _linear(g, x, encoder.stack)), encoder.leave)
    x = g.op("Add", x, _skip(g, encoder, levels))  # (1, 1, frames, latent channels)
    latents = g.op("Transpose", g.op("Squeeze", x, g.ints(1)), perm=[0, 2, 1])
    g.output("latents", latents, (1, codec.facts.latent_channels, "frames"))
    return g.build()


def decoder_graph(codec: SmallCodec) -> onnx.ModelProto:
    """latents (1, latent channels, frames) -> waveform (1, 2, samples)."""
    g, decoder = GraphBuilder("decoder"), codec.decoder
    x = g.input("latents", (1, codec.facts.latent_channels, "frames"))
    x = g.op("Transpose", g.op("Unsqueeze", x, g.ints(1)), perm=[0, 1, 3, 2])  # (1, 1, frames, latent channels)
    x = _linear(g, _blocks(g, decoder.coarse, _linear(g, x, decoder.enter)), decoder.unstack)
    x = g.op("Reshape", x, g.ints(1, 1, -1, decoder.width))
    x = _normalised(g, _blocks(g, decoder.fine, x), decoder.norm)  # (1, 1, 4 frames, width)
    audio = waveform(g, _bins(g, decoder, g.op("Squeeze", x, g.ints(0, 1))), decoder.synthesis)
    g.output("waveform", audio, (1, _CHANNELS, "samples"))
    return g.build()


def _features(g: GraphBuilder, bins: str) -> tuple[str, str]:
    """A spectrum (part, k2, channel, 4 frames, k1) to log powers and the compressed low bins, (4 frames, n) each."""
    power = g.op("Squeeze", _power(g, bins), g.ints(0))  # (k2, channel, 4 frames, k1)
    sizes = [SINGLE_BINS // ROWS, (FOURFOLD_BINS - SINGLE_BINS) // ROWS, HALF - FOURFOLD_BINS // ROWS]
    single, fourfold, eightfold = g.split_op("Split", 3, power, g.ints(*sizes), axis=0)
    singles = g.op("Log", single)
    logs = [singles, *(g.op("Log", _means(g, group, n)) for group, n in ((fourfold, 4), (eightfold, 8)))]
    per_frame = [g.op("Reshape", g.op("Transpose", one, perm=[2, 1, 0, 3]), g.ints(0, -1)) for one in logs]
    # (4 frames, (channel, k2, group) of each)
    levels = g.op("Concat", *per_frame, axis=1)

    low = PHASED_BINS // ROWS
    log_power = g.op("Slice", singles, g.ints(0, 0), g.ints(low, 1), g.ints(0, 1))
    compression = g.op("Exp", g.op("Mul", log_power, g.weight(np.array(PHASE_COMPRESSION))))
    mid = g.op("Slice", bins, g.ints(0, 0), g.ints(low, 1), g.ints(1, 2))
    phased = g.op("Transpose", g.op("Mul", mid, compression), perm=[3, 0, 1, 2, 4])
    return levels, g.op("Reshape", phased, g.ints(0, -1))  # (4 frames, (part, k2, k1))


def _power(g: GraphBuilder, parts: str) -> str:
    """Real part squared and imaginary part squared, (2, ...) to (1, ...), no less than the floor."""
    # Not ReduceSumSquare, nor ReduceSum: ONNX Runtime takes seven times and twice as long.
    squares = g.split_op("Split", 2, g.op("Mul", parts, parts), axis=0, num_outputs=2)
    return g.op("Clip", g.op("Add", *squares), g.weight(np.array(POWER_FLOOR)))


def _means(g: GraphBuilder, power: str, group: int) -> str:
    """Means of neighbouring bins, (k2, channel, 4 frames, k1 / group)."""
    grouped = g.op("Reshape", power, g.ints(0, 0, -1, ROWS // group, group))
    return g.op("ReduceMean", grouped, g.ints(4), keepdims=0)


def _level_order() -> np.ndarray:
    """PyTorch's place, channel * groups + group, of each log power, in the order of `_features`."""
    fourfold, eightfold = (FOURFOLD_BINS - SINGLE_BINS) // 4, (HALF * ROWS - FOURFOLD_BINS) // 8
    places = np.arange(_CHANNELS * (SINGLE_BINS + fourfold + eightfold)).reshape(_CHANNELS, -1)
    kinds = np.split(places, [SINGLE_BINS, SINGLE_BINS + fourfold], axis=1)
    return np.concatenate([kind.ravel() for kind in kinds])


def _entered(g: GraphBuilder, encoder: SmallEncoder, levels: str, phased: str) -> tuple[str, str]:
    """The first layer, in two products; log powers become levels in its weights."""
    weight, bias = _array(encoder.enter.weight), _array(encoder.enter.bias)
    order = _level_order()
    of_levels, of_phased = weight[:, : len(order)], weight[:, len(order) :]
    bias = bias - of_levels.sum(axis=1) * LEVEL_CENTRE / LEVEL_SPREAD
    scaled = of_levels[:, order] / (2 * LEVEL_SPREAD)
    return _product(g, levels, scaled, bias), g.op("MatMul", phased, g.weight(of_phased.T))


def _skip(g: GraphBuilder, encoder: SmallEncoder, levels: str) -> str:
    """The linear skip from the coarse spectrum, (frames, latent channels)."""
    weight, bias = _array(encoder.skip.weight), _array(encoder.skip.bias)
    bias = bias - weight.sum(axis=1) * LEVEL_CENTRE / LEVEL_SPREAD
    order = _level_order()[::SKIP_GROUP] // SKIP_GROUP  # groups of four lie together in both orders
    by_step = weight.reshape(len(weight), STEPS, -1)[:, :, order] / (2 * LEVEL_SPREAD)
    coarse = g.op("Reshape", levels, g.ints(-1, len(order), SKIP_GROUP))
    coarse = g.op("ReduceMean", coarse, g.ints(2), keepdims=0)
    coarse = g.op("Reshape", coarse, g.ints(-1, STEPS * len(order)))
    return _product(g, coarse, by_step.reshape(len(weight), -1), bias)


def _bins(g: GraphBuilder, decoder: SmallDecoder, x: str) -> str:
    """(4 frames, width) to a spectrum (2 parts, k2, 4 frames, channel * k1), whose direct current is halved."""
    heads = [(head, _hidden(g, head, x)) for head in (decoder.low, decoder.high)]
    halved = np.zeros((HALF, 1, _CHANNELS * ROWS))  # (k2, 1, channel * k1)
    halved[0, 0, ::ROWS] = math.log(2)

    level = g.op("Concat", *(_banded(g, head, hidden, slice(0, 1)) for head, hidden in heads), axis=1)
    bias = np.concatenate([_values(head.bias)[0] for head, _ in heads])  # (k2, 1, channel * k1)
    level = g.op("Add", level, g.weight(bias * LEVEL_SPREAD + LEVEL_CENTRE - halved))
    magnitude = g.op("Exp", g.op("Min", level, g.weight(LOUDEST_LOG_MAGNITUDE - halved)))

    towards = g.op("Concat", *(_banded(g, head, hidden, slice(1, VALUES)) for head, hidden in heads), axis=1)
    bias = np.concatenate([_values(head.bias)[1:] for head, _ in heads], axis=1)
    towards = g.op("Add", towards, g.weight(bias))  # (2 parts, k2, 4 frames, channel * k1)
    return g.op("Mul", towards, g.op("Div", magnitude, g.op("Sqrt", _power(g, towards))))


def _hidden(g: GraphBuilder, head: BandHead, x: str) -> str:
    """A head's few values for each band, (bands, 4 frames, values)."""
    hidden = g.op("Gelu", _linear(g, x, head.enter))
    return g.op("Transpose", g.op("Reshape", hidden, g.ints(0, head.bands, head.band_width)), perm=[1, 0, 2])


def _banded(g: GraphBuilder, head: BandHead, hidden: str, values: slice) -> str:
    """Some of a head's values without their biases, (values, bands, 4 frames, channel * k1)."""
    weight = _values(head.weight)[values]
    return g.op("MatMul", hidden, g.weight(weight * (LEVEL_SPREAD if values.start == 0 else 1.0)))


def _values(weight: Tensor) -> np.ndarray:
    """A head's (bands, inputs, values * channel * 32) as (values, bands, inputs, channel * k1)."""
    bands, inputs, _ = weight.shape
    return _array(weight).reshape(bands, inputs, VALUES, _CHANNELS * BAND_BINS).transpose(2, 0, 1, 3)


def _blocks(g: GraphBuilder, blocks: nn.Sequential, x: str) -> str:
    """ConvNeXt blocks on (1, 1, frames, width)."""
    for block in blocks:
        assert isinstance(block, ConvNextBlock)  # mypy: what a Sequential holds
        image = g.op("Transpose", x, perm=[0, 3, 1, 2])  # (1, width, 1, frames)
        layer, padding = block.along_time, block.along_time.kernel_size[1] // 2
        mixed = g.op(
            "Conv", image, g.weight(_array(layer.weight)), g.weight(_array(layer.bias)),
            kernel_shape=layer.kernel_size, pads=(0, padding, 0, padding), group=layer.groups,
        )  # fmt: skip
        mixed = _normalised(g, g.op("Transpose", mixed, perm=[0, 2, 3, 1]), block.norm)
        widened = g.op("Gelu", _linear(g, mixed, block.widen))
        scale = _array(block.scale)
        weight, bias = _array(block.narrow.weight) * scale[:, None], _array(block.narrow.bias) * scale
        x = g.op("Add", x, _product(g, widened, weight, bias))
    return x


def _normalised(g: GraphBuilder, x: str, norm: nn.LayerNorm) -> str:
    constants = (g.weight(_array(one)) for one in (norm.weight, norm.bias))
    return g.op("LayerNormalization", x, *constants, axis=-1, epsilon=norm.eps)


def _linear(g: GraphBuilder, x: str, layer: nn.Linear) -> str:
    return _product(g, x, _array(layer.weight), _array(layer.bias))


def _product(g: GraphBuilder, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    """x W^T + b over the last axis."""
    return g.op("Add", g.op("MatMul", x, g.weight(weight.T)), g.weight(bias))


def _array(tensor: Tensor | None) -> np.ndarray:
    assert tensor is not None  # mypy: a layer's bias may be None; here every layer has one
    return tensor.detach().double().numpy()
