"""Exact rewrites: the same function from rearranged weights, each a function of the trained modules alone.

Weights come back as float64 arrays, so that folding loses nothing before the graph is written in float32.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from samuel_train.model import embedding
from samuel_train.model.attention import SoftAlignment
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.unet import FiLM, ResidualBlock


@dataclass(frozen=True, eq=False)
class Linear:
    """y = weight x + bias, over channels: a Linear or a 1x1 convolution."""

    weight: np.ndarray
    """(out, in) float64."""
    bias: np.ndarray
    """(out,) float64."""


@dataclass(frozen=True, eq=False)
class AlignmentWeights:
    """Soft alignment attention as four products instead of eight or ten."""

    queries: Linear
    """n -> 2 n: global queries, then local queries."""
    keys_values: Linear
    """n -> 4 n: global keys, global values, local keys, local values."""
    output: np.ndarray
    """(n, 2 n): acts on the local result times its weight, then the global result times its weight."""
    output_biases: np.ndarray
    """(2, n): of local and global; their mix depends on the timestep alone."""


@dataclass(frozen=True, eq=False)
class ContextMeans:
    """Frame means of the decoder's context: mean_i = [m, f / T, l / T, 1 / T] matrix_i + constant_i."""

    matrices: list[np.ndarray]
    """Per level (3 n + 1, n_i), for mean m, first frame f and last frame l over T frames of the bottleneck."""
    constants: list[np.ndarray]
    """Per level (n_i,)."""


def array(parameter: object) -> np.ndarray:
    """A weight as float64."""
    tensor = cast("Tensor", parameter)
    return tensor.detach().cpu().double().numpy()


def linear(module: nn.Module) -> Linear:
    """The weights of an nn.Linear or a 1x1 nn.Conv1d."""
    module = cast("nn.Linear", module)
    weight = array(module.weight)
    return Linear(weight.reshape(weight.shape[:2]), array(module.bias))  # (out, in[, 1]) -> (out, in)


def frequencies(width: int) -> np.ndarray:
    """(1, width / 2) of the timestep's and of rotary embedding, float32, as the model computes them.

    Its float32 exponential is off by up to 6e-7. At t = 799 that is a phase of 5e-4, so exact values would
    put the graphs further from the model than all other rounding together.
    """
    return embedding.frequencies(width, torch.float32)[None].numpy()


def after(outer: Linear, inner: Linear) -> Linear:
    """The composition outer(inner(x)) as one."""
    return Linear(outer.weight @ inner.weight, outer.weight @ inner.bias + outer.bias)


def stacked(*parts: Linear) -> Linear:
    """Several functions of the same input as one, outputs in a row."""
    return Linear(np.concatenate([p.weight for p in parts]), np.concatenate([p.bias for p in parts]))


def alignment(
    align: SoftAlignment, project_queries: Linear | None = None, project_context: Linear | None = None
) -> AlignmentWeights:
    """Stack the projections of both branches, and fold in what comes before them (the bottleneck's)."""
    local, wide = align.local, align.global_
    queries = stacked(linear(wide.to_q), linear(local.to_q))
    keys_values = stacked(*(linear(m) for m in (wide.to_k, wide.to_v, local.to_k, local.to_v)))
    outputs = [linear(local.to_out), linear(wide.to_out)]
    return AlignmentWeights(
        queries=queries if project_queries is None else after(queries, project_queries),
        keys_values=keys_values if project_context is None else after(keys_values, project_context),
        output=np.concatenate([out.weight for out in outputs], axis=1),
        output_biases=np.stack([out.bias for out in outputs]),
    )


def null_values(model: Denoiser) -> np.ndarray:
    """(n,) what global attention of the first alignment gives without vocals, whatever the queries.

    Silence in the latents makes every frame of the context the encoder's bias; a weighted mean of one value is
    that value.
    """
    values = linear(model.align.global_.to_v)
    return values.weight @ array(model.cond_encoder.bias) + values.bias


def context_means(cond_ups: Iterable[nn.Module]) -> ContextMeans:
    """Collapse the decoder's context path: it is linear, and only its frame means are used.

    A transposed convolution of kernel 4, stride 2, padding 1 with taps W_k maps, over T frames,

        mean' = ((W_0 + W_1 + W_2 + W_3) m - (W_0 f + W_3 l) / T) / 2 + b,   f' = W_1 f + b,   l' = W_2 l + b
    """
    matrices, constants = [], []
    levels = cast("list[nn.ConvTranspose1d]", list(cond_ups))
    n = levels[0].in_channels
    # Each row block says how a quantity depends on the bottleneck's m, f / T and l / T, and on 1 / T.
    of_m, of_f, of_l, of_one = np.eye(n), np.zeros((n, n)), np.zeros((n, n)), np.zeros(n)
    first, first_bias = np.eye(n), np.zeros(n)
    last, last_bias = np.eye(n), np.zeros(n)
    constant, scale = np.zeros(n), 1.0  # scale is the bottleneck's T over this level's
    for up in levels:
        taps = np.moveaxis(array(up.weight), 2, 0)  # (n_in, n_out, 4) -> (4, n_in, n_out)
        bias = array(up.bias)
        whole = taps.sum(axis=0) / 2
        of_m, of_f, of_l = (
            of_m @ whole,
            of_f @ whole - first @ taps[0] * scale / 2,
            of_l @ whole - last @ taps[3] * scale / 2,
        )
        of_one = of_one @ whole - (first_bias @ taps[0] + last_bias @ taps[3]) * scale / 2
        constant = constant @ whole + bias
        first, first_bias = first @ taps[1], first_bias @ taps[1] + bias
        last, last_bias = last @ taps[2], last_bias @ taps[2] + bias
        scale /= 2
        matrices.append(np.concatenate([of_m, of_f, of_l, of_one[None]]))
        constants.append(constant)
    return ContextMeans(matrices, constants)


def films_of(model: Denoiser) -> list[FiLM]:
    """Every FiLM of the model in the order in which they run; the first takes m(t), the others e(t)."""
    unet = model.unet
    blocks = cast("list[ResidualBlock]", [*unet.downs, unet.mid_resnet, *unet.up_resnets])
    return [model.initial_film, *(block.film for block in blocks)]


def film_context(film: nn.Module) -> Linear:
    """The context's share of a FiLM, on the mean over frames: a mean commutes with a 1x1 convolution."""
    return linear(cast("FiLM", film).context_proj)


def film_terms(model: Denoiser, means: ContextMeans) -> tuple[Linear, Linear]:
    """The timestep's share of every FiLM: one function of m(t) for the first, one of e(t) for all others.

    What is constant in the context's share is added to the biases: its own bias, and the constants of
    the collapsed decoder context.
    """
    films = films_of(model)
    plain = len(films) - len(means.constants)
    terms = []
    for index, film in enumerate(films):
        time, context = linear(film.time_proj), film_context(film)
        constant = context.weight @ means.constants[index - plain] if index >= plain else 0.0
        terms.append(Linear(time.weight, time.bias + context.bias + constant))
    return terms[0], stacked(*terms[1:])
