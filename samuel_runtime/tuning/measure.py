"""Measure how fast a loaded bundle runs on its backend, with its own graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from samuel_runtime.diffusion.denoiser import Sampling
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.diffusion.samplers import timesteps_for
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_SAMPLER
from samuel_runtime.tuning.speed import Speed, frames_read

_REPEAT_FOR_S = 0.3
_REPEATS_MOST = 7
_PACE_WINDOWS = 3
_FURTHER_STEPS = 3
_LEAST_STEP_S = 1e-6  # where the clock sees no difference
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
    window, step_s = _window(samuel, model.frames)
    _, short_step_s = _window(samuel, model.frames_min)
    decode = _timed(lambda: list(samuel.codec.decode(latents)))
    return Speed(
        first_s=encode.first_more_s + window.first_more_s + decode.first_more_s,
        encode_s=encode.best_s / frames_read(frames, manifest, codec.encoder_context_frames),
        window_s=max(window.best_s - step_s, 0.0),
        step_s=step_s,
        short_step_s=short_step_s,
        decode_s=decode.best_s / frames_read(frames, manifest, codec.decoder_context_frames),
    )


def paced(speed: Speed, samuel: Samuel, frames: int) -> Speed:
    """A speed measured before, at today's pace: processors slow down on battery, when hot, and when others use them.

    Args:
        speed: of this bundle and backend.
        samuel: loaded.
        frames: of the window whose step is timed, so that nothing is prepared that the song does not need.
    """
    window = _sampling(samuel, frames, 1)
    window()  # which may make what later runs have
    before_s = speed.window_s * frames / samuel.manifest.model.frames + speed.step_of(frames, samuel.manifest)
    pace = min(_seconds(window) for _ in range(_PACE_WINDOWS)) / before_s
    parts = ("encode_s", "window_s", "step_s", "short_step_s", "decode_s")
    return replace(speed, **{part: pace * getattr(speed, part) for part in parts})


def _window(samuel: Samuel, frames: int) -> tuple[_Timing, float]:
    """A window of one step, and seconds of each further step.

    Windows are sampled as for a song, since a step by itself may cost more: on a GPU the loop is one piece, for which
    the vocals are conditioned and copied once.
    """
    one, more = (_timed(_sampling(samuel, frames, steps)) for steps in (1, 1 + _FURTHER_STEPS))
    return one, max((more.best_s - one.best_s) / _FURTHER_STEPS, _LEAST_STEP_S)


def _sampling(samuel: Samuel, frames: int, steps: int) -> Callable[[], object]:
    """A window of so many frames in so many steps, all of them guided, ready to run."""
    model, denoiser = samuel.manifest.model, samuel.denoiser
    x = np.random.default_rng(0).normal(size=(1, model.latent_channels, frames)).astype(np.float32)
    timesteps = tuple(timesteps_for(DEFAULT_SAMPLER, denoiser.schedule, steps))
    guidance = Guidance(model.guidance, down_to=0)
    sampling = Sampling(DEFAULT_SAMPLER, timesteps, guidance, samuel.manifest.statistics.clamp)
    return lambda: list(denoiser.trajectory(x, x[..., :0], sampling, lambda t: x))


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
