"""How fast a loaded bundle runs in its way, measured on its own graphs, and what that predicts for a song."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from samuel_runtime.codec.chunks import chunks
from samuel_runtime.manifest import Manifest
from samuel_runtime.windows import OVERLAP_FRAMES, windows

if TYPE_CHECKING:
    from samuel_runtime.pipeline import Samuel

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_REPEAT_FOR_S = 0.3
_REPEATS_MOST = 7
_PACE_STEPS = 3
_SLOW_S = 10.0  # what takes longer is not run a second time: what its first run adds is small beside it


@dataclass(frozen=True)
class Speed:
    """Seconds of each part of the work: the least of several runs, since what disturbs a run only ever adds to it."""

    first_s: Seconds
    """What first runs cost more than later ones, all parts together: memory, and code made for a shape."""
    encode_s: Seconds
    """Per frame that the encoder reads, context included."""
    window_s: Seconds
    """Per full window, before its first step: conditioning."""
    step_s: _Positive
    """Per guided denoising step of a full window."""
    short_step_s: _Positive
    """Per guided denoising step of the shortest window."""
    decode_s: Seconds
    """Per frame that the decoder reads, context included."""

    def encoding_s(self, manifest: Manifest, frames: int) -> float:
        """Seconds to encode a voice of so many frames."""
        return self.encode_s * _frames_read(frames, manifest, manifest.codec.encoder_context_frames)

    def decoding_s(self, manifest: Manifest, frames: int) -> float:
        """Seconds to decode a band of so many frames."""
        return self.decode_s * _frames_read(frames, manifest, manifest.codec.decoder_context_frames)

    def sampling_s(self, manifest: Manifest, frames: int) -> tuple[float, float]:
        """Seconds to draw the latents of a song of so many frames: a fixed part, and a part per step."""
        model = manifest.model
        spans = windows(frames, model.frames, min(OVERLAP_FRAMES, model.frames // 2))
        fixed = sum(self.window_s * window.frames / model.frames for window in spans)
        return fixed, sum(self.step_of(window.frames, manifest) for window in spans)

    def song_s(self, manifest: Manifest, frames: int, steps: int) -> float:
        """Seconds from a voice to a band, once loaded and warm, files aside."""
        fixed, per_step = self.sampling_s(manifest, frames)
        return self.encoding_s(manifest, frames) + fixed + steps * per_step + self.decoding_s(manifest, frames)

    def step_of(self, frames: int, manifest: Manifest) -> float:
        """Seconds per step of a window of so many frames.

        A line through the two lengths that were measured; a window is never shorter than the shortest.
        """
        model = manifest.model
        if model.frames == model.frames_min:
            return self.step_s
        part = (frames - model.frames_min) / (model.frames - model.frames_min)
        return self.short_step_s + part * max(self.step_s - self.short_step_s, 0.0)


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
        encode_s=encode.best_s / _frames_read(frames, manifest, codec.encoder_context_frames),
        window_s=max(window.best_s - step.best_s, 0.0),
        step_s=step.best_s,
        short_step_s=short_step.best_s,
        decode_s=decode.best_s / _frames_read(frames, manifest, codec.decoder_context_frames),
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


def _frames_read(frames: int, manifest: Manifest, context_frames: int) -> int:
    """Frames that the codec reads to make so many, in chunks that overlap by their context."""
    return sum(c.read_stop - c.read_start for c in chunks(frames, manifest.codec.chunk_frames, context_frames))
