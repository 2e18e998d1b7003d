"""Progress of a run: what a ``progress`` callable is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

Stage = Literal["encode", "sample", "decode"]


@dataclass(frozen=True, eq=False)
class Step:
    """A denoising step that is done."""

    window: int
    """Index of the window in the song, from 0."""
    index: int
    """Index of the step in its window, from 0."""
    timestep: int
    """The timestep it started from."""
    latents: np.ndarray
    """Normalised latents of the window after the step, float32 (channels, frames)."""


@dataclass(frozen=True)
class StepStatistics:
    """Statistics of the latents after one denoising step."""

    window: int
    """As in :class:`Step`."""
    step: int
    """Index in the window, as in :class:`Step`."""
    timestep: int
    """As in :class:`Step`."""
    mean: float
    std: float
    smallest: float
    largest: float


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a stage of the run has come."""

    stage: Stage
    done: int
    """Latent frames for "encode" and "decode", denoising steps of all windows for "sample"."""
    total: int
    """In the unit of ``done``; the stage is complete when both are equal."""
    seconds: float
    """Wall time since the stage began. The stages of a stream overlap."""
    step: Step | None = None
    """For "sample" the step that was done, else None."""


OnProgress = Callable[[Progress], object]
"""Called in the thread of the run after every chunk of the codec and every denoising step; what it returns is ignored.

An exception that it raises ends the run and reaches the caller as it is: so a run is cancelled. Where the denoiser runs
as one CUDA graph (``Provider.TENSORRT``), the steps of a window are reported when all of them are done.
"""


class Reporter:
    """Makes the events of one stage."""

    def __init__(self, stage: Stage, progress: OnProgress | None) -> None:
        """Start the stage's clock."""
        self._stage, self._progress = stage, progress
        self._started = perf_counter()

    def __call__(self, done: int, total: int, step: Step | None = None) -> None:
        """Report, if anybody listens."""
        if self._progress is not None:
            self._progress(Progress(self._stage, done, total, perf_counter() - self._started, step))
