"""The denoiser as three graphs, by how often each must run; they hand each other values by name.

    conditioning   once per song       vocals -> keys and values of the first alignment
    timesteps      once per schedule   t -> every FiLM's share of the timestep, mixing weights, mixed biases
    step           once per step       everything else, with guidance inside

The step's ``scales`` weigh the guidance branches: [g, 1 - g] for v_null + g (v_cond - v_null), or [1] for the
conditional output alone. Its memory inputs hold the branches one after the other, (branches * batch, ...).
"""

from __future__ import annotations

from dataclasses import fields
from typing import cast

import numpy as np
import onnx
from onnx import TensorProto
from torch import nn

from samuel_export import rewrite
from samuel_export.alignment_graph import Memory, conv1x1, write_attention, write_memory
from samuel_export.builder import Axis, GraphBuilder
from samuel_train.attention import mixing_weights
from samuel_train.config import ModelConfig
from samuel_train.model import Denoiser
from samuel_train.unet import Downsample, ResidualBlock

_NORM_EPSILON = 1e-5


def conditioning_graph(model: Denoiser) -> onnx.ModelProto:
    """Vocals (batch, latent channels, frames) -> the memory of the first alignment."""
    config, g = model.config, GraphBuilder("conditioning")
    vocals = _wide(g, g.input("vocals", ["batch", config.latent_channels, "frames"]))
    context = _conv(g, vocals, model.cond_encoder)
    memory = write_memory(g, context, rewrite.alignment(model.align).keys_values, config)
    for name, shape in _memory_shapes(config, "batch").items():
        g.output(name, getattr(memory, name), shape)
    return g.build()


def timesteps_graph(model: Denoiser) -> onnx.ModelProto:
    """t (batch,) int64 -> "film", "mixing", "align_bias" and "bottom_bias", (batch, ...) each."""
    config, g = model.config, GraphBuilder("timesteps")
    t = g.input("t", ["batch"], TensorProto.INT64)
    position = g.op("Unsqueeze", g.op("Cast", t, to=TensorProto.FLOAT), g.ints(1))
    angles = g.op("Mul", position, g.weight(rewrite.frequencies(config.time_width)))
    embedding = g.op("Concat", g.op("Sin", angles), g.op("Cos", angles), axis=1)  # e(t), (batch, time width)
    hidden = _gemm(g, embedding, rewrite.linear(model.time_mlp[0]))
    hidden = _gemm(g, _silu(g, hidden), rewrite.linear(model.time_mlp[2]))  # m(t)

    first, others = rewrite.film_terms(model, rewrite.context_means(model.unet.cond_ups))
    film = g.op("Concat", _gemm(g, hidden, first), _gemm(g, embedding, others), axis=1)
    mixing = g.op("Gather", g.weight(mixing_weights(config).numpy()), t, axis=0)  # (batch, 2)
    g.output("film", film, ["batch", len(first.bias) + len(others.bias)])
    g.output("mixing", mixing, ["batch", 2])
    for name, align in (("align_bias", model.align), ("bottom_bias", model.unet.mid_attn.attn)):
        biases = rewrite.alignment(align).output_biases  # (2, n)
        g.output(name, g.op("MatMul", mixing, g.weight(biases)), ["batch", biases.shape[1]])
    return g.build()


def step_graph(model: Denoiser) -> onnx.ModelProto:
    """One guided denoising step: x (batch, latent channels, frames) -> "output" of the same shape."""
    config, unet, g = model.config, model.unet, GraphBuilder("step")
    base, bottom_width = config.base_channels, 8 * config.base_channels
    films = rewrite.films_of(model)
    x = g.input("x", ["batch", config.latent_channels, "frames"])
    scales = g.input("scales", ["branches"])
    film = g.input("film", ["batch", sum(f.time_proj.out_features for f in films)])
    mixing = g.input("mixing", ["batch", 2])
    biases = [g.input("align_bias", ["batch", base]), g.input("bottom_bias", ["batch", bottom_width])]
    memory = Memory(**{name: g.input(name, shape) for name, shape in _memory_shapes(config, "rows").items()})

    branches = g.op("Shape", scales)
    film, mixing, align_bias, bottom_bias = (_tiled(g, value, branches, 2) for value in (film, mixing, *biases))
    weights = [
        g.op("Reshape", part, g.ints(0, 1, 1, 1)) for part in g.split_op("Split", 2, mixing, axis=1, num_outputs=2)
    ]
    terms = iter(g.split_op("Split", len(films), film, g.ints(*(f.time_proj.out_features for f in films)), axis=1))

    h = _tiled(g, _conv(g, _wide(g, x), model.x_encoder), branches, 4)  # (rows, C, 1, frames)
    align = rewrite.alignment(model.align)
    context = _mixed(g, write_attention(g, h, align.queries, memory, config), weights, align.output, align_bias)
    mean = _frame_mean(g, context)
    h = _film(g, h, next(terms), g.op("MatMul", mean, _context_weight(g, rewrite.film_context(films[0]))))

    skips = []
    for resnet, down in zip(unet.downs, unet.cond_downs, strict=True):
        h = _residual(g, h, resnet, next(terms), mean)
        skips.append(h)
        h, context = _down(g, h, down), _down(g, context, down)
        mean = _frame_mean(g, context)

    bottom = unet.mid_attn
    align = rewrite.alignment(bottom.attn, rewrite.linear(bottom.proj_x), rewrite.linear(bottom.proj_cond))
    own = write_memory(g, context, align.keys_values, config)
    h = _mixed(g, write_attention(g, h, align.queries, own, config), weights, align.output, bottom_bias)
    h = _residual(g, h, unet.mid_resnet, next(terms), mean)

    summary = _context_summary(g, context, mean)
    collapsed = rewrite.context_means(unet.cond_ups).matrices
    for up, resnet, matrix in zip(unet.ups, unet.up_resnets, collapsed, strict=True):
        h = g.op("Concat", _conv_transpose(g, h, up), skips.pop(), axis=1)
        share = matrix @ rewrite.film_context(cast("ResidualBlock", resnet).film).weight.T  # (3 n + 1, 2 n_i)
        h = _residual_given(g, h, resnet, next(terms), g.op("MatMul", summary, g.weight(share)))
    h = conv1x1(g, h, rewrite.after(rewrite.linear(model.output_conv), rewrite.linear(unet.final_conv)))
    g.output("output", _guided(g, h, scales, branches, x), ["batch", config.latent_channels, "frames"])
    return g.build()


def _memory_shapes(config: ModelConfig, rows: str) -> dict[str, list[Axis]]:
    depth = config.base_channels // config.heads
    wide: list[Axis] = [rows, config.heads, "frames", depth]
    near: list[Axis] = [rows, "heads_blocks", 2 * config.window, depth]
    return {field.name: wide if field.name.startswith("global") else near for field in fields(Memory)}


def _wide(g: GraphBuilder, x: str) -> str:
    """(rows, n, frames) -> (rows, n, 1, frames)."""
    return g.op("Unsqueeze", x, g.ints(2))


def _tiled(g: GraphBuilder, x: str, branches: str, rank: int) -> str:
    """Repeat for every guidance branch: (batch, ...) -> (branches * batch, ...)."""
    return g.op("Tile", x, g.op("Concat", branches, g.ints(*[1] * (rank - 1)), axis=0))


def _guided(g: GraphBuilder, h: str, scales: str, branches: str, x: str) -> str:
    """Sum over branches of scale times output: (rows, n, 1, frames) -> the shape of x."""
    flat = g.op("Reshape", h, g.op("Concat", branches, g.ints(-1), axis=0))  # (branches, batch * n * frames)
    total = g.op("MatMul", g.op("Unsqueeze", scales, g.ints(0)), flat)  # (1, batch * n * frames)
    return g.op("Reshape", total, g.op("Shape", x))


def _conv(g: GraphBuilder, x: str, module: nn.Module, **attributes: object) -> str:
    assert isinstance(module, nn.Conv1d)
    weight, bias = rewrite.array(module.weight)[:, :, None], rewrite.array(module.bias)  # (out, in, 1, k)
    pad = module.padding[0]
    return g.op("Conv", x, g.weight(weight), g.weight(bias), pads=[0, pad, 0, pad], strides=[1, module.stride[0]])


def _conv_transpose(g: GraphBuilder, x: str, module: nn.Module) -> str:
    weight, bias = rewrite.array(module.weight)[:, :, None], rewrite.array(module.bias)  # (in, out, 1, 4)
    return g.op("ConvTranspose", x, g.weight(weight), g.weight(bias), pads=[0, 1, 0, 1], strides=[1, 2])


def _gemm(g: GraphBuilder, x: str, weights: rewrite.Linear) -> str:
    return g.op("Gemm", x, g.weight(weights.weight), g.weight(weights.bias), transB=1)


def _silu(g: GraphBuilder, x: str) -> str:
    return g.op("Mul", x, g.op("Sigmoid", x))


def _frame_mean(g: GraphBuilder, x: str) -> str:
    """(rows, n, 1, frames) -> (rows, n)."""
    return g.op("ReduceMean", x, g.ints(2, 3), keepdims=0)


def _mixed(g: GraphBuilder, results: tuple[str, str], weights: list[str], output: np.ndarray, bias: str) -> str:
    """Both branches through their output projections as one product, weighted by the timestep."""
    both = g.op("Concat", *(g.op("Mul", r, w) for r, w in zip(results, weights, strict=True)), axis=1)
    projected = g.op("Conv", both, g.weight(output[:, :, None, None]))
    return g.op("Add", projected, g.op("Unsqueeze", bias, g.ints(2, 3)))


def _context_weight(g: GraphBuilder, weights: rewrite.Linear) -> str:
    return g.weight(weights.weight.T)


def _film(g: GraphBuilder, h: str, term: str, share: str) -> str:
    """gamma h + beta, with [gamma; beta] the timestep's term plus the context's share, (rows, 2 n) each."""
    modulation = g.op("Unsqueeze", g.op("Add", term, share), g.ints(2, 3))  # (rows, 2 n, 1, 1)
    gamma, beta = g.split_op("Split", 2, modulation, axis=1, num_outputs=2)
    return g.op("Add", g.op("Mul", h, gamma), beta)


def _residual(g: GraphBuilder, h: str, block: nn.Module, term: str, mean: str) -> str:
    assert isinstance(block, ResidualBlock)
    share = g.op("MatMul", mean, _context_weight(g, rewrite.film_context(block.film)))
    return _residual_given(g, h, block, term, share)


def _residual_given(g: GraphBuilder, h: str, block: nn.Module, term: str, share: str) -> str:
    assert isinstance(block, ResidualBlock)
    inner = _conv(g, _silu(g, _group_norm(g, h, block.norm)), block.conv1)
    inner = _film(g, inner, term, share)
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
    weight, bias = (g.weight(rewrite.array(p)[:, None, None]) for p in (norm.weight, norm.bias))  # (n, 1, 1)
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
