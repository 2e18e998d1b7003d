"""A band whose latents are known in distribution: per channel a first-order Gaussian process along the frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from samuel_runtime.choices import Provider
from samuel_runtime.codec import Codec
from samuel_runtime.denoiser import Denoiser
from samuel_runtime.diffusion import Schedule
from samuel_runtime.manifest import Manifest
from samuel_runtime.pipeline import Samuel

FRAMES = 128
"""Frames of the toy's window."""
CORRELATION = 0.95
"""Between neighbouring frames."""


@lru_cache
def _modes(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (frames,) and eigenvectors (frames, frames) of the process's covariance."""
    distance = np.abs(np.subtract.outer(np.arange(frames), np.arange(frames)))
    values, vectors = np.linalg.eigh(CORRELATION**distance)
    return values, vectors


@dataclass
class Engine:
    """A graph by another means."""

    run: object
    provider: Provider = Provider.CPU
    calls: list[dict[str, np.ndarray]] = field(default_factory=list)

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        self.calls.append(inputs)
        return self.run(**inputs)  # type: ignore[operator, no-any-return]


def gaussian_step(x: np.ndarray, scales: np.ndarray, t: np.ndarray, memory: np.ndarray) -> dict[str, np.ndarray]:
    """The ideal v for the process; guidance changes nothing, since the voice tells nothing."""
    schedule = Schedule.cosine()
    alpha, sigma = float(schedule.alpha[t[0]]), float(schedule.sigma[t[0]])
    values, vectors = _modes(x.shape[-1])
    x0 = ((x @ vectors) * (alpha * values / (alpha**2 * values + sigma**2))) @ vectors.T
    return {"output": ((alpha * x - x0) / sigma).astype(np.float32)}


def toy_samuel(bundle: Path, step: object = gaussian_step) -> Samuel:
    """A pipeline around ``step``, with the facts of a bundle but a window of only 128 frames."""
    manifest = Manifest.read(bundle)
    facts = manifest.model.model_copy(update={"frames": FRAMES})
    conditioning = Engine(lambda vocals: {"memory": vocals})
    denoiser = Denoiser(conditioning, Engine(lambda t: {"t": t}), Engine(step), facts)
    unused = Engine(None)
    codec = Codec(unused, unused, manifest.codec, manifest.statistics)
    return Samuel(manifest.model_copy(update={"model": facts}), codec, denoiser)
