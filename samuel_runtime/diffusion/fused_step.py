"""The step as a device runs it: the network, the estimate of x_0, held frames and the sampler's update in one graph.

Inputs beside those of the bundle's step graph (x, scales, the timestep's terms, the memory of the vocals), with
(batch, channels, frames) as the latents' shape; their names are those that built engines have:

    anchor, before   latents: corrected x and x_0 of the step before, its outputs "next_anchor" and "x0"
    noise            latents, for the samplers that draw it
    known, held      latents, and (1, 1, frames) bool: frames whose x_0 is known, see diffusion/windows.py
    update           (COEFFICIENTS,) of the step

Outputs are "next", "next_anchor" (the corrected x) and "x0", latents each: the next step's inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from samuel_runtime.diffusion.samplers import NextX, Update
from samuel_runtime.diffusion.schedule import Prediction, x0_weights

LATENTS = ("anchor", "before", "noise", "known")
"""Inputs of the latents' shape that the bundle's step graph does not have."""
OUTPUTS = ("next", "next_anchor", "x0")
BRANCHES = 2
"""Conditional and null, always: guidance 1 weighs the second with 0."""
COEFFICIENTS = 14
"""Weights of x and the output in x_0, its range, four weights of the corrected x, four of the next x, its range."""

_ANY = (-3e38, 3e38)  # a range that keeps everything: float32 ends a little beyond


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs of one run of a :class:`SamplingLoop`; (batch, channels, frames) is the latents' shape."""

    conditioning: Mapping[str, np.ndarray]
    """Inputs of the conditioning graph by name: "vocals", latents of the voice, and "sheet" where the model has one."""
    start: np.ndarray
    """Latents, pure noise."""
    prefix_latents: np.ndarray
    """(batch, channels, held frames): the first frames, whose x_0 is known."""
    guidance: Sequence[float]
    """Classifier-free guidance scale of each step."""
    updates: np.ndarray
    """(steps, COEFFICIENTS)"""
    terms: Sequence[Mapping[str, np.ndarray]]
    """Of each step's timestep."""
    noise: np.ndarray | None
    """(steps, batch, channels, frames); None for samplers that draw none."""


class SamplingLoop(Protocol):
    """A fixed number of steps over latents of one shape."""

    def run(self, inputs: Inputs) -> np.ndarray:
        """Sample: float32 (steps, batch, channels, frames), the latents after every step."""


def coefficients(
    update: Update, prediction: Prediction, alpha: float, sigma: float, clamp: tuple[float, float]
) -> np.ndarray:
    """The input "update" of a step: float32 (COEFFICIENTS,).

    Args:
        update: the sampler's, at this step.
        prediction: what the network's output means.
        alpha: of the timestep.
        sigma: of the timestep.
        clamp: range of the training data.
    """
    x0 = (*x0_weights(prediction, alpha, sigma), *clamp)
    return np.array([*x0, *update.weights, *(clamp if update.clamped else _ANY)], np.float32)


def output_alone() -> np.ndarray:
    """The input "update" with which "next" is the network's own output: float32 (COEFFICIENTS,)."""
    return np.array([0, 1, *_ANY, *Update(NextX(corrected_x=0, x0=1)).weights, *_ANY], np.float32)
