"""What a parity check measures: each probe is a seeded computation that both sides can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from samuel_export.sides import Side, trajectory
from samuel_export.storage import Storage
from samuel_runtime.manifest import CodecFacts, ModelFacts
from samuel_runtime.noise import noise
from samuel_runtime.statistics import Statistics

_STEPS = 12
_SHORT_FRAMES, _SONG_FRAMES = 72, 304  # neither a multiple of the attention's blocks nor of a codec chunk
_TRAJECTORY_FRAMES = 256

# Float32 graphs differ from PyTorch by rounding alone, about 2e-6 a step; a trajectory multiplies that by what
# guidance and the sampler amplify. Weights kept in half precision carry 11 bits, 3e-4 relative, which is 60 dB
# below the latents, beneath the codec's own error by far.
_LIMITS = {Storage.FP32: {"step": 1e-5, "trajectory": 1e-3, "codec": 1e-4, "audio": 1e-2},
           Storage.FP16: {"step": 5e-3, "trajectory": 5e-2, "codec": 1e-2, "audio": 1e-1}}  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """One comparison."""

    name: str
    """What it measures."""
    limit: float
    """Largest relative L2 error that passes."""
    run: Callable[[Side], np.ndarray]
    """The computation."""


def probes(model: ModelFacts, codec: CodecFacts, statistics: Statistics, storage: Storage) -> Iterator[Probe]:
    """All probes of a bundle, from single steps to the sound of a whole trajectory."""
    limits = _LIMITS[storage]
    for frames in sorted({model.frames, max(_SHORT_FRAMES, model.frames_multiple)}):
        for t in (0, model.timesteps // 4, model.timesteps // 2, model.timesteps - 1):
            for guidance in (1.0, model.guidance):
                yield Probe(f"step t={t} frames={frames} guidance={guidance:g}", limits["step"],
                            _step(model, [t], frames, guidance))  # fmt: skip
    pair = [model.timesteps - 1, model.timesteps // 21]
    yield Probe(f"step t={pair} batch of two", limits["step"], _step(model, pair, _SHORT_FRAMES, model.guidance))
    yield Probe("encode", limits["codec"], lambda side: side.encode(_test_signal(codec)))
    yield Probe("decode", limits["codec"], lambda side: side.decode(_latents(model, 1, _SONG_FRAMES)[0]))

    def latents(side: Side) -> np.ndarray:
        return trajectory(side, model, statistics, _latents(model, 2, _TRAJECTORY_FRAMES)[None][0], _STEPS)

    yield Probe(f"trajectory of {_STEPS} steps, latents", limits["trajectory"], latents)
    yield Probe(f"trajectory of {_STEPS} steps, audio", limits["audio"], lambda side: side.decode(latents(side)))


def _step(model: ModelFacts, t: list[int], frames: int, guidance: float) -> Callable[[Side], np.ndarray]:
    x, vocals = (np.concatenate([_latents(model, seed + i, frames) for i in range(len(t))]) for seed in (10, 20))
    return lambda side: side.network(x, vocals, t, guidance)


def _latents(model: ModelFacts, seed: int, frames: int) -> np.ndarray:
    """(1, channels, frames): correlated in time as latents are, unit variance."""
    white = noise(seed, 0, 0, frames, model.latent_channels)
    return ((white + np.roll(white, 1, axis=1)) / np.sqrt(2)).astype(np.float32)[None]


def _test_signal(codec: CodecFacts) -> np.ndarray:
    """(samples, channels): a rising tone over soft noise, different in every channel."""
    samples = _SONG_FRAMES * codec.hop_samples
    seconds = np.arange(samples)[:, None] / codec.sample_rate_hz
    channel = np.arange(1, codec.channels + 1)
    tone = 0.2 * np.sin(2 * np.pi * (110 * channel + 40 * seconds) * seconds)
    hiss = 0.02 * noise(3, 0, 0, samples, 4 * codec.channels)[: codec.channels].T
    return (tone + hiss).astype(np.float32)
