"""The small codec's two halves as graphs.

What is not as in PyTorch, and why; the function is the same:

- The Fourier transforms are products (graphs/fourier.py), and spectra stay in the layout that those want: features are
  gathered from it in another order than PyTorch's, and the weights that read them are reordered instead.
- Scales and offsets that a linear layer follows or precedes are part of its weights.
- The depthwise convolution is two-dimensional, 1 x k, for which ONNX Runtime has the faster kernel.
"""

from __future__ import annotations

import numpy as np
import onnx
from torch import Tensor, nn

from samuel_export.graphs.builder import GraphBuilder
from samuel_export.graphs.fourier import HALF, ROWS, spectrum
from samuel_runtime.codec.spectrum import MOST_DEVIATION, PARTIALS, SPECTRUM_WIDTHS
from samuel_train.codec.model.convnext import ConvNextBlock
from samuel_train.codec.model.long_windows import LONG_STEPS, PAD_STEPS, SHORT_BINS
from samuel_train.codec.model.small import (
    BAND_BINS,
    ENVELOPE_FRAMES,
    ENVELOPE_RANGE,
    FOURFOLD_BINS,
    LEVEL_CENTRE,
    LEVEL_SPREAD,
    LOUDEST_LOG_MAGNITUDE,
    PARTIAL_CENTRE,
    PARTIAL_VALUES,
    PHASE_COMPRESSION,
    PHASED_BINS,
    SINGLE_BINS,
    SKIP_GROUP,
    SPREAD_CENTRE,
    SPREAD_RANGE,
    BandHead,
    LongHead,
    SmallCodec,
    SmallDecoder,
    SmallEncoder,
)
from samuel_train.codec.model.stft import STEPS

_CHANNELS = 2


def encoder_graph(codec: SmallCodec) -> onnx.ModelProto:
    """waveform (1, 2, samples) -> latents (1, latent channels, frames)."""
    g, encoder = GraphBuilder("encoder"), codec.encoder
    bins = spectrum(g, g.input("waveform", (1, _CHANNELS, "samples")), encoder.analysis)
    levels, phased = _features(g, bins, encoder.power_floor)
    long = _long_windows(g, bins, encoder.long, encoder.power_floor) if encoder.long else None
    entered = g.op("Add", *_entered(g, encoder, levels, phased))  # (4 frames, width)
    x = _blocks(g, encoder.fine, g.op("Unsqueeze", entered, g.ints(0, 1)))
    x = g.op("Reshape", x, g.ints(1, 1, -1, STEPS * codec.config.encoder_width))
    x = _linear(g, x, encoder.stack)
    if encoder.long and long:
        x = g.op("Add", x, _told(g, long, encoder.long))
    x = _linear(g, _blocks(g, encoder.coarse, x), encoder.leave)
    x = g.op("Add", x, _skip(g, encoder, levels))  # (1, 1, frames, latent channels)
    latents = g.op("Transpose", g.op("Squeeze", x, g.ints(1)), perm=[0, 2, 1])
    g.output("latents", latents, (1, codec.facts.latent_channels, "frames"))
    return g.build()


def decoder_graph(codec: SmallCodec) -> onnx.ModelProto:
    """latents (1, latent channels, frames) -> what a spectral decoder predicts, (1, 4 frames, width) each."""
    g, decoder = GraphBuilder("decoder"), codec.decoder
    x = g.input("latents", (1, codec.facts.latent_channels, "frames"))
    x = g.op("Transpose", g.op("Unsqueeze", x, g.ints(1)), perm=[0, 1, 3, 2])  # (1, 1, frames, latent channels)
    x = _linear(g, _blocks(g, decoder.coarse, _linear(g, x, decoder.enter)), decoder.unstack)
    x = g.op("Reshape", x, g.ints(1, 1, -1, decoder.width))
    x = _normalised(g, _blocks(g, decoder.fine, x), decoder.norm)
    x = g.op("Squeeze", x, g.ints(1))  # (1, 4 frames, width)
    level, deviation, pan = _partials(g, decoder, x)
    scale, centre = [LEVEL_SPREAD, LEVEL_SPREAD, 1.0], [LEVEL_CENTRE, LEVEL_CENTRE, 0.0]
    *low, turn, spread = _banded(g, decoder.low, x, [*scale, 1.0, 1.0], [*centre, 0.0, SPREAD_CENTRE])
    high = _banded(g, decoder.high, x, scale, centre)
    mid, side, coherence = (g.op("Concat", *pair, axis=2) for pair in zip(low, high, strict=True))
    values = {
        "partial_levels": _clipped(g, level, None, LOUDEST_LOG_MAGNITUDE),
        "partial_deviations": _clipped(g, deviation, -MOST_DEVIATION, MOST_DEVIATION),
        "partial_pans": g.op("Tanh", pan),
        "mid_levels": _clipped(g, mid, None, LOUDEST_LOG_MAGNITUDE),
        "side_levels": _clipped(g, side, None, LOUDEST_LOG_MAGNITUDE),
        "coherences": g.op("Tanh", coherence),
        "bin_deviations": turn,
        "bin_spreads": _clipped(g, spread, *SPREAD_RANGE),
        "envelope": _clipped(g, _centred(g, _linear(g, x, decoder.envelope)), *ENVELOPE_RANGE),
    }
    for name, width in SPECTRUM_WIDTHS.items():
        g.output(name, values[name], (1, "steps", width))
    return g.build()


def _features(g: GraphBuilder, bins: str, floor: float) -> tuple[str, str]:
    """A spectrum (part, k2, channel, 4 frames, k1) to log powers and the compressed low bins, (4 frames, n) each."""
    power = g.op("Squeeze", _power(g, bins, 0, floor), g.ints(0))  # (k2, channel, 4 frames, k1)
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


def _power(g: GraphBuilder, parts: str, axis: int, floor: float) -> str:
    """The squares of the two halves along an axis, added and no less than the floor."""
    # Not ReduceSumSquare, nor ReduceSum: ONNX Runtime takes seven times and twice as long.
    squares = g.split_op("Split", 2, g.op("Mul", parts, parts), axis=axis, num_outputs=2)
    return g.op("Clip", g.op("Add", *squares), g.weight(np.array(floor)))


def _long_windows(g: GraphBuilder, bins: str, head: LongHead, floor: float) -> str:
    """A spectrum (part, k2, channel, 4 frames, k1) to mid's log powers in long windows, (1, frames, LONG_BINS)."""
    low = g.op("Slice", bins, g.ints(0, 0), g.ints(SHORT_BINS // ROWS, 1), g.ints(1, 2))
    low = g.op("Transpose", low, perm=[2, 0, 1, 4, 3])  # (1, part, k2, k1, 4 frames)
    windows = g.op(
        "Conv", g.op("Reshape", low, g.ints(1, 2 * SHORT_BINS, -1)), g.weight(_array(head.windows.weight)),
        kernel_shape=(LONG_STEPS,), strides=(STEPS,), pads=(PAD_STEPS, PAD_STEPS),
    )  # fmt: skip
    return g.op("Transpose", g.op("Log", _power(g, windows, 1, floor)), perm=[0, 2, 1])


def _told(g: GraphBuilder, long: str, head: LongHead) -> str:
    """What long windows tell, (1, frames, width); log powers become levels in the first layer's weights."""
    weight, bias = _array(head.enter.weight), _array(head.enter.bias)
    bias = bias - weight.sum(axis=1) * LEVEL_CENTRE / LEVEL_SPREAD
    return _linear(g, g.op("Gelu", _product(g, long, weight / (2 * LEVEL_SPREAD), bias)), head.leave)


def _means(g: GraphBuilder, power: str, group: int) -> str:
    """Means of neighbouring bins, (k2, channel, 4 frames, k1 / group)."""
    grouped = g.op("Reshape", power, g.ints(0, 0, -1, ROWS // group, group))
    return g.op("ReduceMean", grouped, g.ints(4), keepdims=0)


def level_order() -> np.ndarray:
    """PyTorch's place, channel * groups + group, of each log power, in the order of `_features`."""
    fourfold, eightfold = (FOURFOLD_BINS - SINGLE_BINS) // 4, (HALF * ROWS - FOURFOLD_BINS) // 8
    places = np.arange(_CHANNELS * (SINGLE_BINS + fourfold + eightfold)).reshape(_CHANNELS, -1)
    kinds = np.split(places, [SINGLE_BINS, SINGLE_BINS + fourfold], axis=1)
    return np.concatenate([kind.ravel() for kind in kinds])


def _entered(g: GraphBuilder, encoder: SmallEncoder, levels: str, phased: str) -> tuple[str, str]:
    """The first layer, in two products; log powers become levels in its weights."""
    weight, bias = _array(encoder.enter.weight), _array(encoder.enter.bias)
    order = level_order()
    of_levels, of_phased = weight[:, : len(order)], weight[:, len(order) :]
    bias = bias - of_levels.sum(axis=1) * LEVEL_CENTRE / LEVEL_SPREAD
    scaled = of_levels[:, order] / (2 * LEVEL_SPREAD)
    return _product(g, levels, scaled, bias), g.op("MatMul", phased, g.weight(of_phased.T))


def _skip(g: GraphBuilder, encoder: SmallEncoder, levels: str) -> str:
    """The linear skip from the coarse spectrum, (frames, latent channels)."""
    weight, bias = _array(encoder.skip.weight), _array(encoder.skip.bias)
    bias = bias - weight.sum(axis=1) * LEVEL_CENTRE / LEVEL_SPREAD
    order = level_order()[::SKIP_GROUP] // SKIP_GROUP  # groups of four lie together in both orders
    by_step = weight.reshape(len(weight), STEPS, -1)[:, :, order] / (2 * LEVEL_SPREAD)
    coarse = g.op("Reshape", levels, g.ints(-1, len(order), SKIP_GROUP))
    coarse = g.op("ReduceMean", coarse, g.ints(2), keepdims=0)
    coarse = g.op("Reshape", coarse, g.ints(-1, STEPS * len(order)))
    return _product(g, coarse, by_step.reshape(len(weight), -1), bias)


def _partials(g: GraphBuilder, decoder: SmallDecoder, x: str) -> list[str]:
    """Level, deviation and pan of every partial from (1, 4 frames, width), (1, 4 frames, PARTIALS) each."""
    hidden = g.op("Gelu", _linear(g, x, decoder.partial_enter))
    scale = np.repeat([LEVEL_SPREAD, 1.0, 1.0], PARTIALS)
    centre = np.repeat([PARTIAL_CENTRE, 0.0, 0.0], PARTIALS)
    layer = decoder.partial_leave
    values = _product(g, hidden, _array(layer.weight) * scale[:, None], _array(layer.bias) * scale + centre)
    return g.split_op("Split", PARTIAL_VALUES, values, axis=2, num_outputs=PARTIAL_VALUES)


def _banded(g: GraphBuilder, head: BandHead, x: str, scale: list[float], centre: list[float]) -> list[str]:
    """A head's values from (1, 4 frames, width), each times its scale plus its centre, (1, 4 frames, bins) each."""
    hidden = g.op("Gelu", _linear(g, x, head.enter))
    hidden = g.op("Transpose", g.op("Reshape", hidden, g.ints(-1, head.bands, head.band_width)), perm=[1, 0, 2])
    scales, centres = (np.repeat(each, BAND_BINS) for each in (scale, centre))
    values = g.op("MatMul", hidden, g.weight(_array(head.weight) * scales))
    values = g.op("Add", values, g.weight(_array(head.bias) * scales + centres))  # (bands, 4 frames, values * 32)
    values = g.op("Transpose", values, perm=[1, 0, 2])
    parts = g.split_op("Split", head.values, values, axis=2, num_outputs=head.values)  # (4 frames, bands, 32) each
    return [g.op("Reshape", part, g.ints(1, -1, head.bands * BAND_BINS)) for part in parts]


def _centred(g: GraphBuilder, envelope: str) -> str:
    """An envelope (1, 4 frames, steps) less its mean over the frames around."""
    means = g.op("ReduceMean", g.op("Unsqueeze", envelope, g.ints(1)), g.ints(3))  # (1, 1, 4 frames, 1)
    reach = ENVELOPE_FRAMES // 2
    around = g.op("AveragePool", means, kernel_shape=[ENVELOPE_FRAMES, 1], pads=[reach, 0, reach, 0])
    return g.op("Sub", envelope, g.op("Squeeze", around, g.ints(1)))


def _clipped(g: GraphBuilder, value: str, least: float | None, most: float) -> str:
    bounds = ["" if least is None else g.weight(np.array(least)), g.weight(np.array(most))]
    return g.op("Clip", value, *bounds)


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
