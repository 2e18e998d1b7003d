"""The timestep's contribution to every FiLM as a low-rank table.

It is a function of one whole number, so for a network with a schedule of 800 steps it is a table of 800 rows; and as
sines and cosines of slowly growing frequencies make it, the rows lie near a space of some 200 dimensions. Two narrow
factors of the table take a quarter of the room of the network's matrices that it is computed by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from samuel_export.graphs import rewrites
from samuel_export.precision.weights import WeightFormat
from samuel_train.model.denoiser import Denoiser

TOLERANCES = {WeightFormat.FP32: 1e-8, WeightFormat.FP16: 1e-5}
"""Largest error of the factors, as a share of the table's norm about its mean.

A trained network was 270 times as far off as its table where the signal is all noise, so float32 files have all that
float32 can say. Half precision rounds by more than its tolerance.
"""


@dataclass(frozen=True, eq=False)
class Factors:
    """table = rows @ columns + mean."""

    rows: np.ndarray
    """(timesteps, rank) float64."""
    columns: np.ndarray
    """(rank, n) float64."""
    mean: np.ndarray
    """(n,) float64."""


@torch.no_grad()
def film_table(model: Denoiser) -> np.ndarray:
    """(timesteps, n) float64: row t is what timestep t adds to [gamma; beta] of every FiLM, in their order."""
    t = np.arange(model.config.timesteps, dtype=np.float32)[:, None]
    angles = (t * rewrites.frequencies(model.config.time_width)).astype(np.float64)
    embedding = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)  # e(t), (timesteps, time width)
    opened, closed = (rewrites.linear(model.time_mlp[place]) for place in (0, 2))
    hidden = embedding @ opened.weight.T + opened.bias
    hidden = hidden / (1 + np.exp(-hidden)) @ closed.weight.T + closed.bias  # m(t)
    first, others = rewrites.film_terms(model, rewrites.context_means(model.unet.cond_ups))
    return np.concatenate([hidden @ first.weight.T + first.bias, embedding @ others.weight.T + others.bias], axis=1)


def factored(table: np.ndarray, tolerance: float) -> Factors:
    """The factors of least rank whose error is within the tolerance, by singular values (Eckart & Young, 1936).

    Each factor takes the root of a singular value, so that neither has numbers too small for a half-precision file.
    """
    mean = table.mean(axis=0)
    left, values, right = np.linalg.svd(table - mean, full_matrices=False)
    missing = np.sqrt(np.cumsum(values[::-1] ** 2)[::-1])  # of the ranks 0, 1, ...
    rank = max(1, int(np.searchsorted(-missing, -tolerance * missing[0], side="left")))
    roots = np.sqrt(values[:rank])
    return Factors(left[:, :rank] * roots, roots[:, None] * right[:rank], mean)
