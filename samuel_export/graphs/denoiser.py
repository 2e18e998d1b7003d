"""The denoiser as three graphs, by how often each must run; they hand each other values by name.

    conditioning   once per song       vocals -> keys and values of the first alignment
    timesteps      once per schedule   t -> every FiLM's share of the timestep, mixing weights and mixed biases
    step           once per step       everything else, with guidance inside

The step's ``scales`` weigh the guidance branches: [g, 1 - g] for v_null + g (v_cond - v_null), or [1] for the
conditional output alone. What the null branch attends to comes with the memory, as far as it is not a constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import cast

import numpy as np
import onnx
from onnx import TensorProto
from torch import nn

from samuel_export.graphs import rewrites
from samuel_export.graphs.attention import (
    Frames,
    Memory,
    conv1x1,
    global_attention,
    local_attention,
    write_local_memory,
    write_memory,
    write_mixed,
    write_queries,
)
from samuel_export.graphs.builder import Axis, GraphBuilder
from samuel_export.graphs.timestep_table import TOLERANCES, factored, film_table
from samuel_export.precision.weights import WeightFormat
from samuel_runtime.leadsheet.raster import CHANNELS
from samuel_train.model.attention import mixing_weights
from samuel_train.model.config import ModelConfig
from samuel_train.model.denoiser import DEVIATION_MIN, Denoiser
from samuel_train.model.sheet_encoder import SheetEncoder
from samuel_train.model.unet import Downsample, ResidualBlock
from samuel_train.model.vocal_context import VocalContextEncoder

_NORM_EPSILON = 1e-5


def conditioning_graph(model: Denoiser) -> onnx.ModelProto:
    """Vocals (batch, latent channels, frames) -> the memory of the first alignment."""
    config, g = model.config, GraphBuilder("conditioning")
    vocals = g.input("vocals", ["batch", config.latent_channels, "frames"])
    vocals = _wide(g, _standardised(g, vocals) if config.standardised_voice else vocals)
    context = _conv(g, vocals, model.cond_encoder)
    frames, keys_values = Frames(g, context, config.base_channels, config), rewrites.alignment(model.align).keys_values
    memory = write_memory(g, context, keys_values, frames)
    silence = g.op("Expand", g.weight(rewrites.array(model.cond_encoder.bias)[:, None, None]), g.op("Shape", context))
    null_keys, null_values = write_local_memory(g, silence, keys_values, frames)
    values = {**vars(memory), "null_keys": null_keys, "null_values": null_values}
    if model.vocal_context is not None:
        values["heard"] = g.op("Squeeze", _heard(g, vocals, model.vocal_context), g.ints(2))
    if model.sheet is not None:
        values |= _write_modulation(g, model.sheet)
    shapes = _memory_shapes(config) | _modulation_shapes(model)
    for name, value in values.items():
        g.output(name, value, shapes[name])
    return g.build()


def timesteps_graph(model: Denoiser, weight_format: WeightFormat = WeightFormat.FP32) -> onnx.ModelProto:
    """t (batch,) int64 -> "film", and the "weights" and "bias" of "align" and "bottom", (batch, ...) each."""
    config, g = model.config, GraphBuilder("timesteps")
    t = g.input("t", ["batch"], TensorProto.INT64)
    terms = factored(film_table(model), TOLERANCES[weight_format])
    row = g.op("Gather", g.weight(terms.rows), t, axis=0)  # (batch, rank)
    film = g.op("Add", g.op("MatMul", row, g.weight(terms.columns)), g.weight(terms.mean))
    g.output("film", film, ["batch", len(terms.mean)])
    mixing = g.op("Gather", g.weight(mixing_weights(config).numpy()), t, axis=0)  # (batch, 2)
    for name, align in (("align", model.align), ("bottom", model.unet.mid_attn.attn)):
        biases = rewrites.alignment(align).output_biases  # (2, n)
        n = biases.shape[1]
        spread = g.op("Expand", g.op("Unsqueeze", mixing, g.ints(2)), g.ints(1, 2, n))  # (batch, 2, n)
        g.output(f"{name}_weights", g.op("Reshape", spread, g.ints(0, 2 * n)), ["batch", 2 * n])
        g.output(f"{name}_bias", g.op("MatMul", mixing, g.weight(biases)), ["batch", n])
    return g.build()


def step_graph(model: Denoiser) -> onnx.ModelProto:
    """One guided denoising step: x (batch, latent channels, frames) -> "output" of the same shape."""
    config, unet, g = model.config, model.unet, GraphBuilder("step")
    base, bottom_width = config.base_channels, 8 * config.base_channels
    films = rewrites.films_of(model)
    x = g.input("x", ["batch", config.latent_channels, "frames"])
    scales = g.input("scales", ["branches"])
    film = g.input("film", ["batch", sum(f.time_proj.out_features for f in films)])
    heard = g.input("heard", _memory_shapes(config)["heard"]) if model.vocal_context is not None else None
    given = [g.input(name, shape) for name, shape in _modulation_shapes(model).items()]
    weights, biases = [], []
    for name, width in (("align", base), ("bottom", bottom_width)):
        weights.append(g.input(f"{name}_weights", ["batch", 2 * width]))
        biases.append(g.input(f"{name}_bias", ["batch", width]))
    branches = g.op("Shape", scales)
    memory = _memory_of_branches(g, config, branches)
    film, *mixing = (_tiled(g, value, branches, 2) for value in (film, *weights, *biases))
    align_weights, bottom_weights, align_bias, bottom_bias = mixing
    terms = iter(g.split_op("Split", len(films), film, g.ints(*(f.time_proj.out_features for f in films)), axis=1))

    h = _conv(g, _wide(g, x), model.x_encoder)  # (batch, C, 1, frames): all branches are the same so far
    align, frames = rewrites.alignment(model.align), Frames(g, h, base, config)
    wide_queries, near_queries = write_queries(g, h, align.queries, frames)
    near = local_attention(g, _tiled(g, near_queries, branches, 3), memory, frames)
    wide = _with_null(g, global_attention(g, wide_queries, memory, frames), near, rewrites.null_values(model))
    context = write_mixed(g, near, wide, align_weights, align.output, align_bias)
    h = _tiled(g, h, branches, 4) if heard is None else _with_heard(g, h, heard, branches)  # (rows, C, 1, frames)
    mean = _frame_mean(g, context)
    h = _film(g, h, next(terms), g.op("MatMul", mean, _context_weight(g, rewrites.film_context(films[0]))))

    modulation: Iterator[_Modulation | None] = (
        iter([_of_branches(g, each, h) for each in given]) if given else repeat(None)
    )
    skips = []
    for resnet, down in zip(unet.downs, unet.cond_downs, strict=True):
        h = _residual(g, h, resnet, next(terms), mean, next(modulation))
        skips.append(h)
        h, context = _down(g, h, down), _down(g, context, down)
        mean = _frame_mean(g, context)

    bottom = unet.mid_attn
    align = rewrites.alignment(bottom.attn, rewrites.linear(bottom.proj_x), rewrites.linear(bottom.proj_cond))
    frames = Frames(g, h, bottom_width, config)
    memory = write_memory(g, context, align.keys_values, frames)
    wide_queries, near_queries = write_queries(g, h, align.queries, frames)
    near, wide = local_attention(g, near_queries, memory, frames), global_attention(g, wide_queries, memory, frames)
    h = write_mixed(g, near, wide, bottom_weights, align.output, bottom_bias)
    h = _residual(g, h, unet.mid_resnet, next(terms), mean, next(modulation))

    summary = _context_summary(g, context, mean)
    collapsed = rewrites.context_means(unet.cond_ups).matrices
    for up, resnet, matrix in zip(unet.ups, unet.up_resnets, collapsed, strict=True):
        h = g.op("Concat", _conv_transpose(g, h, up), skips.pop(), axis=1)
        share = matrix @ rewrites.film_context(cast("ResidualBlock", resnet).film).weight.T  # (3 n + 1, 2 n_i)
        h = _residual_given(g, h, resnet, next(terms), g.op("MatMul", summary, g.weight(share)), next(modulation))
    h = conv1x1(g, h, rewrites.after(rewrites.linear(model.output_conv), rewrites.linear(unet.final_conv)))
    g.output("output", _guided(g, h, scales, branches, x), ["batch", config.latent_channels, "frames"])
    return g.build()


def _memory_shapes(config: ModelConfig) -> dict[str, list[Axis]]:
    """Axes of what the conditioning graph hands to the step: the first alignment's memory, silence's local one, and
    what a listener heard."""
    wide: list[Axis] = ["batch", "frames", config.base_channels]
    near: list[Axis] = ["batch_blocks", 2 * config.window, config.base_channels]
    return {"global_keys": wide, "global_values": wide,
            "local_keys": near, "local_values": near, "null_keys": near, "null_values": near,
            "heard": ["batch", config.base_channels, "frames"]}  # fmt: skip


def _modulation_shapes(model: Denoiser) -> dict[str, list[Axis]]:
    """Axes of the lead sheet's modulation of every block, [1 + gamma; beta]; none without a sheet encoder."""
    if model.sheet is None:
        return {}
    return {
        f"sheet_{index}": ["batch", 2 * channels, f"frames_{2**level}" if level else "frames"]
        for index, (channels, level) in enumerate(model.unet.blocks)
    }


def _write_modulation(g: GraphBuilder, encoder: SheetEncoder) -> dict[str, str]:
    """[1 + gamma; beta] of every block by name, (batch, 2 n, frames / 2^level), of the input "sheet"."""
    sheet = _wide(g, g.input("sheet", ["batch", CHANNELS, "frames"]))
    features = [g.op("Gelu", _conv(g, g.op("Gelu", _conv(g, sheet, encoder.enter)), encoder.deepen))]
    for down in encoder.downs:
        features.append(g.op("Gelu", _conv(g, features[-1], down)))
    values = {}
    for index, (layer, level) in enumerate(zip(encoder.leave, encoder.levels, strict=True)):
        gamma_beta = _conv(g, features[level], layer)  # (batch, 2 n, 1, frames)
        width = cast("nn.Conv1d", layer).out_channels
        one = np.repeat([1.0, 0.0], width // 2)[:, None, None]
        values[f"sheet_{index}"] = g.op("Squeeze", g.op("Add", gamma_beta, g.weight(one)), g.ints(2))
    return values


@dataclass(frozen=True)
class _Modulation:
    """Of one block: gamma h + beta, (rows, n, 1, frames) each."""

    gamma: str
    beta: str


def _of_branches(g: GraphBuilder, modulation: str, h: str) -> _Modulation:
    """[1 + gamma; beta] (batch, 2 n, frames) for all rows of h; the null branches, which know no sheet, have [1; 0]."""
    wide = _wide(g, modulation)
    missing = g.op("Sub", g.op("Shape", h, start=0, end=1), g.op("Shape", wide, start=0, end=1))
    gamma, beta = g.split_op("Split", 2, wide, axis=1, num_outputs=2)
    pads = g.op("Concat", g.ints(0, 0, 0, 0), missing, g.ints(0, 0, 0), axis=0)
    one, zero = (g.weight(np.array(value, np.float32)) for value in (1, 0))
    return _Modulation(g.op("Pad", gamma, pads, one), g.op("Pad", beta, pads, zero))


def _memory_of_branches(g: GraphBuilder, config: ModelConfig, branches: str) -> Memory:
    """The step's inputs, local memory of the null branches appended where there are any."""
    given = {name: g.input(name, shape) for name, shape in _memory_shapes(config).items() if name != "heard"}
    nulls = g.op("Sub", branches, g.ints(1))
    for local, null in (("local_keys", "null_keys"), ("local_values", "null_values")):
        silence = _tiled(g, given.pop(null), nulls, 3)
        given[local] = g.op("Concat", given[local], silence, axis=0)  # (rows * blocks, 2 window, n)
    return Memory(**given)


def _with_null(g: GraphBuilder, wide: str, like: str, null: np.ndarray) -> str:
    """Append the null branches' constant to (batch, frames, n), up to the rows of ``like``."""
    missing = g.op("Sub", g.op("Shape", like), g.op("Mul", g.op("Shape", wide), g.ints(1, 0, 0)))
    return g.op("Concat", wide, g.op("Expand", g.weight(null[None, None]), missing), axis=0)


def _standardised(g: GraphBuilder, vocals: str) -> str:
    """Vocals (batch, latent channels, frames) with the same mean and deviation in every channel, see model.py."""
    centred = g.op("Sub", vocals, g.op("ReduceMean", vocals, g.ints(2), keepdims=1))
    power = g.op("ReduceMean", g.op("Mul", centred, centred), g.ints(2), keepdims=1)
    return g.op("Div", centred, g.op("Add", g.op("Sqrt", power), g.weight(np.array(DEVIATION_MIN, np.float32))))


def _heard(g: GraphBuilder, vocals: str, listener: VocalContextEncoder) -> str:
    """What the listener makes of vocals (batch, latent channels, 1, frames), (batch, C, 1, frames)."""
    x = _conv(g, vocals, listener.enter)
    for layer in listener.layers:
        x = g.op("Add", x, _conv(g, g.op("Gelu", x), layer))
    return _conv(g, g.op("Gelu", x), listener.leave)


def _with_heard(g: GraphBuilder, h: str, heard: str, branches: str) -> str:
    """(batch, C, 1, frames) with what was heard added for the conditional branch, and as it is for the others."""
    conditional = g.op("Add", h, _wide(g, heard))
    return g.op("Concat", conditional, _tiled(g, h, g.op("Sub", branches, g.ints(1)), 4), axis=0)


def _wide(g: GraphBuilder, x: str) -> str:
    """(rows, n, frames) -> (rows, n, 1, frames)."""
    return g.op("Unsqueeze", x, g.ints(2))


def _tiled(g: GraphBuilder, x: str, branches: str, rank: int) -> str:
    """Repeat for every guidance branch: (batch, ...) -> (branches * batch, ...)."""
    return g.op("Tile", x, g.op("Concat", branches, g.ints(*[1] * (rank - 1)), axis=0))


def _guided(g: GraphBuilder, h: str, scales: str, branches: str, x: str) -> str:
    """Sum over branches of scale times output: (rows, n, 1, frames) -> the shape of x."""
    flat = g.op("Reshape", h, g.op("Concat", branches, g.ints(-1), axis=0))  # (branches, batch * n * frames)
    # Not a MatMul: it stays float32 in every precision, and some GPUs (Turing) have no such matrix products.
    total = g.op("ReduceSum", g.op("Mul", g.op("Unsqueeze", scales, g.ints(1)), flat), g.ints(0), keepdims=0)
    return g.op("Reshape", total, g.op("Shape", x))


def _conv(g: GraphBuilder, x: str, module: nn.Module) -> str:
    assert isinstance(module, nn.Conv1d)
    weights = [g.weight(rewrites.array(module.weight)[:, :, None])]  # (out, in, 1, k)
    if module.bias is not None:
        weights.append(g.weight(rewrites.array(module.bias)))
    pad, stride, dilation = (int(value[0]) for value in (module.padding, module.stride, module.dilation))
    return g.op("Conv", x, *weights, pads=[0, pad, 0, pad], strides=[1, stride], dilations=[1, dilation])


def _conv_transpose(g: GraphBuilder, x: str, module: nn.Module) -> str:
    weight, bias = rewrites.array(module.weight)[:, :, None], rewrites.array(module.bias)  # (in, out, 1, 4)
    return g.op("ConvTranspose", x, g.weight(weight), g.weight(bias), pads=[0, 1, 0, 1], strides=[1, 2])


def _silu(g: GraphBuilder, x: str) -> str:
    return g.op("Mul", x, g.op("Sigmoid", x))


def _frame_mean(g: GraphBuilder, x: str) -> str:
    """(rows, n, 1, frames) -> (rows, n)."""
    return g.op("ReduceMean", x, g.ints(2, 3), keepdims=0)


def _context_weight(g: GraphBuilder, weights: rewrites.Linear) -> str:
    return g.weight(weights.weight.T)


def _film(g: GraphBuilder, h: str, term: str, share: str) -> str:
    """gamma h + beta, with [gamma; beta] the timestep's term plus the context's share, (rows, 2 n) each."""
    modulation = g.op("Unsqueeze", g.op("Add", term, share), g.ints(2, 3))  # (rows, 2 n, 1, 1)
    gamma, beta = g.split_op("Split", 2, modulation, axis=1, num_outputs=2)
    return g.op("Add", g.op("Mul", h, gamma), beta)


def _residual(g: GraphBuilder, h: str, block: nn.Module, term: str, mean: str, modulation: _Modulation | None) -> str:
    assert isinstance(block, ResidualBlock)
    share = g.op("MatMul", mean, _context_weight(g, rewrites.film_context(block.film)))
    return _residual_given(g, h, block, term, share, modulation)


def _residual_given(
    g: GraphBuilder, h: str, block: nn.Module, term: str, share: str, modulation: _Modulation | None
) -> str:
    assert isinstance(block, ResidualBlock)
    inner = _conv(g, _silu(g, _group_norm(g, h, block.norm)), block.conv1)
    inner = _film(g, inner, term, share)
    if modulation is not None:
        inner = g.op("Add", g.op("Mul", inner, modulation.gamma), modulation.beta)
    return g.op("Add", h, _conv(g, _silu(g, _group_norm(g, inner, block.norm)), block.conv2))


def _down(g: GraphBuilder, h: str, module: nn.Module) -> str:
    assert isinstance(module, Downsample)
    return _silu(g, _group_norm(g, _conv(g, h, module.conv), module.norm))


def _group_norm(g: GraphBuilder, h: str, norm: nn.GroupNorm) -> str:
    """GroupNorm of one group, as an instance norm of all channels in a row."""
    flat = g.op("Reshape", h, g.ints(0, 1, -1))  # (rows, 1, n * frames)
    one, zero = g.weight(np.ones(1)), g.weight(np.zeros(1))
    normal = g.op("InstanceNormalization", flat, one, zero, epsilon=_NORM_EPSILON)
    normal = g.op("Reshape", normal, g.op("Shape", h))
    weight, bias = (g.weight(rewrites.array(p)[:, None, None]) for p in (norm.weight, norm.bias))  # (n, 1, 1)
    return g.op("Add", g.op("Mul", normal, weight), bias)


def _context_summary(g: GraphBuilder, context: str, mean: str) -> str:
    """[m, f / T, l / T, 1 / T] of the bottleneck's context, (rows, 3 n + 1)."""
    frames = g.op("Cast", g.op("Shape", context, start=3, end=4), to=TensorProto.FLOAT)
    flat = g.op("Squeeze", context, g.ints(2))  # (rows, n, frames)
    first = g.op("Gather", flat, g.weight(np.array(0, np.int64)), axis=2)
    last = g.op("Gather", flat, g.weight(np.array(-1, np.int64)), axis=2)
    inverse = g.op("Div", g.weight(np.ones(1)), frames)  # (1,)
    ones = g.op(
        "Expand", g.weight(np.ones((1, 1))), g.op("Concat", g.op("Shape", context, start=0, end=1), g.ints(1), axis=0)
    )
    ends = g.op("Concat", first, last, ones, axis=1)
    return g.op("Concat", mean, g.op("Mul", ends, inverse), axis=1)
