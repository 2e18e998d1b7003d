"""A band whose latents are known in distribution: per channel a first-order Gaussian process along the frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.codec import Codec, CodecEngines
from samuel_runtime.diffusion.denoiser import Denoiser
from samuel_runtime.diffusion.schedule import Schedule
from samuel_runtime.engines.backend import Backend
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Precision, Provider

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

    graph: object
    backend: Backend = field(default_factory=lambda: Backend(Provider.CPU, Precision.FP32))
    calls: int = 0

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        self.calls += 1
        return self.graph(**inputs)  # type: ignore[operator, no-any-return]

    def bind(self, **inputs: np.ndarray) -> Bound:
        return Bound(self, inputs)


@dataclass
class Bound:
    """Its inputs and outputs in memory that stays."""

    engine: Engine
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray] = field(default_factory=dict)

    def run(self) -> dict[str, np.ndarray]:
        for name, value in self.engine(**self.inputs).items():
            self.outputs.setdefault(name, np.empty_like(value))[...] = value
        return self.outputs


def gaussian_step(
    x: np.ndarray, scales: np.ndarray, t: np.ndarray, memory: np.ndarray, variance: float = 1.0
) -> dict[str, np.ndarray]:
    """The ideal v for the process, of this variance; guidance changes nothing, since the voice tells nothing."""
    schedule = Schedule.cosine()
    alpha, sigma = float(schedule.alpha[t[0]]), float(schedule.sigma[t[0]])
    values, vectors = _modes(x.shape[-1])
    values = variance * values
    x0 = ((x @ vectors) * (alpha * values / (alpha**2 * values + sigma**2))) @ vectors.T
    return {"output": ((alpha * x - x0) / sigma).astype(np.float32)}


def toy_samuel(bundle: Path, step: object = gaussian_step) -> Samuel:
    """A pipeline around ``step``, with the facts of a bundle but a window of only 128 frames."""
    manifest = Manifest.read(bundle)
    facts = manifest.model.model_copy(update={"frames": FRAMES})
    conditioning = Engine(lambda vocals: {"memory": vocals})
    denoiser = Denoiser(conditioning, Engine(lambda t: {"t": t}), Engine(step), facts)
    codec = Codec(CodecEngines(lambda name: Engine(None), together=False), manifest.codec, manifest.statistics)
    return Samuel(manifest.model_copy(update={"model": facts}), codec, denoiser)
