"""What a run tells of itself while it goes on; the base class listens to nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Step:
    """One denoising step, done."""

    index: int
    """Counted from 0."""
    timestep: int
    """The timestep it started from."""
    latents: np.ndarray
    """(channels, frames) after the step."""


@dataclass(frozen=True)
class StepStatistics:
    """The latents after one step, in numbers."""

    window: int
    """Which window of the song, from 0."""
    step: int
    """Which step, from 0."""
    timestep: int
    """The timestep it started from."""
    mean: float
    std: float
    smallest: float
    largest: float


class Observer:
    """Override what you want to hear."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """``stage`` ("encode", "sample" or "decode") has done so much of its work."""

    def step(self, window: int, step: Step) -> None:
        """A denoising step of a window is done."""
