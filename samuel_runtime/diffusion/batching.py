"""Windows of several runs as one batch: each run asks for its own, and gets what it would get alone, but for rounding.

A run samples in its own thread, through a :class:`BatchedDenoiser`. What gathers windows, and for how long, is not this
module's concern: it is handed :class:`PendingWindow` objects, and calls :func:`sample_together` with some of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import numpy as np

from samuel_runtime.diffusion.denoiser import DenoiserBackend, Network, Sampling
from samuel_runtime.diffusion.samplers import Draw
from samuel_runtime.engines.backend import Backend

MOST_TOGETHER = 8
"""Windows of one batch at most: the largest that TensorRT engines are built for."""


@dataclass(frozen=True, eq=False)
class PendingWindow:
    """The arguments of one :meth:`DenoiserBackend.trajectory`, and where its results go."""

    vocals: np.ndarray
    """(rows, channels, frames)"""
    prefix_latents: np.ndarray
    """(rows, channels, held frames)"""
    sampling: Sampling
    draw: Draw
    sheet: np.ndarray | None
    """(rows, sheet channels, frames)"""
    steps: SimpleQueue[np.ndarray | None] = field(default_factory=SimpleQueue)
    """The latents after every step, (rows, channels, frames) each; None once no more will come."""

    @property
    def kind(self) -> object:
        """Equal for windows that can be one batch: in sampler, timesteps, guidance, lengths, and having a sheet."""
        return self.sampling, self.vocals.shape[1:], self.prefix_latents.shape[-1], self.sheet is None


def largest_batch(windows: Sequence[PendingWindow]) -> int:
    """How many rows of these windows would be one batch, in the largest of their batches."""
    rows: Counter[object] = Counter()
    for window in windows:
        rows[window.kind] += len(window.vocals)
    return max(rows.values(), default=0)


def sample_together(denoiser: DenoiserBackend, windows: Sequence[PendingWindow]) -> None:
    """Sample windows, those of one kind as one batch; each window's ``steps`` are filled as they are done."""
    kinds: dict[object, list[PendingWindow]] = {}
    for window in windows:
        kinds.setdefault(window.kind, []).append(window)
    for alike in kinds.values():
        _sample(denoiser, alike)


def _sample(denoiser: DenoiserBackend, alike: Sequence[PendingWindow]) -> None:
    def draw(t: int) -> np.ndarray:
        return np.concatenate([window.draw(t) for window in alike])

    sheets = [window.sheet for window in alike if window.sheet is not None]
    trajectory = denoiser.trajectory(
        np.concatenate([window.vocals for window in alike]),
        np.concatenate([window.prefix_latents for window in alike]),
        alike[0].sampling,
        draw,
        np.concatenate(sheets) if sheets else None,
    )
    starts = np.cumsum([len(window.vocals) for window in alike])[:-1]
    for latents in trajectory:
        for window, rows in zip(alike, np.split(latents, starts), strict=True):
            window.steps.put(rows)


class BatchedDenoiser:
    """A :class:`DenoiserBackend` whose windows are sampled where, and with what, somebody else decides."""

    def __init__(self, denoiser: DenoiserBackend, submit: Callable[[PendingWindow], Future[Any]]) -> None:
        """Around a denoiser; ``submit`` returns at once, and its future is done once the window is sampled."""
        self.schedule = denoiser.schedule
        self._denoiser, self._submit = denoiser, submit

    @property
    def backend(self) -> Backend:
        """Of the denoiser."""
        return self._denoiser.backend

    def conditioned(self, vocals: np.ndarray, sheet: np.ndarray | None = None) -> Network:
        """That of the denoiser: a single step is not worth waiting for others."""
        return self._denoiser.conditioned(vocals, sheet)

    def trajectory(
        self,
        vocals: np.ndarray,
        prefix_latents: np.ndarray,
        sampling: Sampling,
        draw: Draw,
        sheet: np.ndarray | None = None,
    ) -> Iterator[np.ndarray]:
        """See :class:`DenoiserBackend`; what goes wrong in a batch is raised to all who are in it."""
        window = PendingWindow(vocals, prefix_latents.copy(), sampling, draw, sheet)
        sampled = self._submit(window)
        sampled.add_done_callback(lambda _: window.steps.put(None))
        while (latents := window.steps.get()) is not None:
            yield latents
        sampled.result()
