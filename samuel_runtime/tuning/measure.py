"""Measure how fast a loaded bundle runs in its way, on its own graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from samuel_runtime.pipeline import Samuel
from samuel_runtime.tuning.speed import Speed, frames_read

_REPEAT_FOR_S = 0.3
_REPEATS_MOST = 7
_PACE_STEPS = 3
_SLOW_S = 10.0  # what takes longer is not run a second time: what its first run adds is small beside it


def measure_speed(samuel: Samuel) -> Speed:
    """Time each part on noise; about a second for the packaged bundle, longer where a single run is."""
    manifest = samuel.manifest
    model, codec = manifest.model, manifest.codec
    random = np.random.default_rng(0)
    frames = 2 * codec.chunk_frames  # two chunks, so that each carries context as in a song
    waveform = random.normal(0, 0.1, (frames * codec.hop_samples, codec.channels)).astype(np.float32)
    latents = random.normal(size=(model.latent_channels, frames)).astype(np.float32)
    encode = _timed(lambda: samuel.codec.encode(iter([waveform]), frames))
    window = _timed(lambda: _step(samuel, model.frames)())
    step, short_step = _timed(_step(samuel, model.frames)), _timed(_step(samuel, model.frames_min))
    decode = _timed(lambda: list(samuel.codec.decode(latents)))
    return Speed(
        first_s=encode.first_more_s + window.first_more_s + decode.first_more_s,
        encode_s=encode.best_s / frames_read(frames, manifest, codec.encoder_context_frames),
        window_s=max(window.best_s - step.best_s, 0.0),
        step_s=step.best_s,
        short_step_s=short_step.best_s,
        decode_s=decode.best_s / frames_read(frames, manifest, codec.decoder_context_frames),
    )


def paced(speed: Speed, samuel: Samuel, frames: int) -> Speed:
    """A speed measured before, at today's pace: processors slow down on battery, when hot, and when others use them.

    Args:
        speed: of this bundle and way.
        samuel: loaded.
        frames: of the window whose step is timed, so that nothing is prepared that the song does not need.
    """
    step = _step(samuel, frames)
    pace = min(_seconds(step) for _ in range(_PACE_STEPS)) / speed.step_of(frames, samuel.manifest)
    parts = ("encode_s", "window_s", "step_s", "short_step_s", "decode_s")
    return replace(speed, **{part: pace * getattr(speed, part) for part in parts})


def _step(samuel: Samuel, frames: int) -> Callable[[], object]:
    """A guided step of a window of so many frames, ready to run."""
    model = samuel.manifest.model
    x = np.random.default_rng(0).normal(size=(1, model.latent_channels, frames)).astype(np.float32)
    step = samuel.conditioned(x)
    return lambda: step(x, [model.timesteps // 2], model.guidance)


@dataclass(frozen=True)
class _Timing:
    """Of something done several times."""

    first_more_s: float
    """What the first time took longer than the best."""
    best_s: float
    """The shortest."""


def _timed(work: Callable[[], object]) -> _Timing:
    times = [_seconds(work)]
    if times[0] < _SLOW_S:
        times.append(_seconds(work))
        while sum(times[1:]) < _REPEAT_FOR_S and len(times) < _REPEATS_MOST:
            times.append(_seconds(work))
    return _Timing(times[0] - min(times), min(times))


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start
