"""How fast this machine runs a loaded bundle, measured on its own graphs; and how many steps fit a time budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from samuel_runtime.choices import MOST_STEPS
from samuel_runtime.pipeline import Samuel
from samuel_runtime.windows import windows

FEWEST_STEPS = 4
"""Below this a budget is not met: the result would be of no use."""
_REPEATS = 3


@dataclass(frozen=True)
class Speed:
    """Seconds of each part of the work, warmed up."""

    encode_s: float
    """Per chunk of the codec."""
    step_s: float
    """Per guided denoising step of a full window."""
    decode_s: float
    """Per chunk of the codec."""


def measure_speed(samuel: Samuel) -> Speed:
    """Time each part on silence; takes about a second."""
    model, codec = samuel.manifest.model, samuel.manifest.codec
    latents = np.zeros((1, model.latent_channels, model.frames), np.float32)
    step = samuel.conditioned(latents)
    waveform = np.zeros((codec.chunk_frames * codec.hop_samples, codec.channels), np.float32)
    chunk = latents[0, :, : codec.chunk_frames]
    return Speed(
        encode_s=_seconds(lambda: samuel.codec.encode(iter([waveform]), codec.chunk_frames)),
        step_s=_seconds(lambda: step(latents, [model.timesteps // 2], model.guidance)),
        decode_s=_seconds(lambda: list(samuel.codec.decode(chunk))),
    )


def steps_within(target_s: float, samuel: Samuel, speed: Speed, frames: int) -> int:
    """The most steps with which a voice of so many frames takes no longer than ``target_s``.

    Returns:
        Between ``FEWEST_STEPS`` (even if they take longer) and the schedule's length.
    """
    facts = samuel.manifest
    chunks = -(-frames // facts.codec.chunk_frames)
    left_s = target_s - chunks * (speed.encode_s + speed.decode_s)
    steps = int(left_s / (speed.step_s * len(windows(frames, facts.model.frames))))
    return min(max(steps, FEWEST_STEPS), facts.model.timesteps, MOST_STEPS)


def _seconds(work: Callable[[], object]) -> float:
    work()  # the first run allocates
    times = []
    for _ in range(_REPEATS):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return float(np.median(times))
