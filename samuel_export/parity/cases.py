"""The cases of a parity check: seeded computations that every :class:`ParityRunner` can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import cycle

import numpy as np

from samuel_export.parity.limits import Limits
from samuel_export.parity.runners import ParityRunner, sample_trajectory
from samuel_runtime.audio.mel import log_mel
from samuel_runtime.bundle.manifest import CodecFacts, DecoderKind, ModelFacts
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.leadsheet.raster import rasterised
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet

_SHORT_FRAMES, _SONG_FRAMES = 72, 304  # neither a multiple of the attention's blocks nor of a codec chunk
_TRAJECTORY_FRAMES = 256
_CHORDS = ("A:min", "F:maj7", "C:maj", "G:7", "N")
_INAUDIBLE = 5e-2  # log-mel distance, less than half of the least that is heard, see parity/limits.py


class Measure(str, Enum):
    """How two results are compared."""

    RELATIVE_L2 = "relative_l2"
    """Norm of the difference over the norm of what is expected: for waveforms and latents."""
    MEAN_ABS = "mean_abs"
    """Mean absolute difference: for log spectra."""


@dataclass(frozen=True)
class ParityCase:
    """One computation and the largest error that passes."""

    name: str
    """Unique in a report, whose fingerprints are found by it."""
    limit: float
    """Largest error that passes, in the unit of ``measure``."""
    run: Callable[[ParityRunner], np.ndarray]
    measure: Measure = Measure.RELATIVE_L2


def parity_cases(
    model: ModelFacts, codec: CodecFacts, statistics: Statistics, limits: Limits, steps: int
) -> Iterator[ParityCase]:
    """All cases of a bundle, from single steps to the decoded audio of a trajectory of ``steps`` steps."""
    for frames in sorted({model.frames, max(_SHORT_FRAMES, model.frames_multiple)}):
        for t in (0, model.timesteps // 4, model.timesteps // 2, model.timesteps - 1):
            for guidance in sorted({1.0, model.guided().at(t)}):  # as it is sampled
                yield ParityCase(f"step t={t} frames={frames} guidance={guidance:g}", limits.step,
                            _step(model, codec, [t], frames, guidance))  # fmt: skip
    pair = [model.timesteps - 1, model.timesteps // 21]
    yield ParityCase(
        f"step t={pair} batch of two", limits.step, _step(model, codec, pair, _SHORT_FRAMES, model.guidance)
    )
    yield ParityCase("encode", limits.codec, lambda runner: runner.encode(test_signal(codec)))
    # Phases amplify rounding without an audible difference, so it is predictions that are compared to the last digits.
    spectral = codec.decoder is DecoderKind.SPECTRUM
    yield ParityCase("decode", limits.codec, lambda runner: runner.decoder_output(_latents(model, 1, _SONG_FRAMES)[0]))

    @_once
    def latents(runner: ParityRunner) -> np.ndarray:
        vocals, sheet = _latents(model, 2, _TRAJECTORY_FRAMES), _sheets(model, codec, 1, _TRAJECTORY_FRAMES)
        return sample_trajectory(runner, model, statistics, vocals, steps, sheet)

    def outputs(runner: ParityRunner) -> np.ndarray:
        return runner.decoder_output(latents(runner))

    def spectra(runner: ParityRunner) -> np.ndarray:
        return log_mel(runner.decode(latents(runner)), codec.sample_rate_hz)

    path = f"trajectory of {steps} steps"
    yield ParityCase(f"{path}, latents", limits.trajectory, latents)
    if spectral:
        yield ParityCase(f"{path}, predictions", limits.trajectory, outputs)
    else:
        yield ParityCase(f"{path}, audio", limits.audio, outputs)
    # Where rounding decides a tie, of two peaks or of a tone and noise, phases differ: never by what can be heard.
    audible = max(limits.log_mel, _INAUDIBLE) if spectral else limits.log_mel
    yield ParityCase(f"{path}, log-mel spectra of the audio", audible, spectra, Measure.MEAN_ABS)


def _once(compute: Callable[[ParityRunner], np.ndarray]) -> Callable[[ParityRunner], np.ndarray]:
    """Cache the result for each runner."""
    results: dict[ParityRunner, np.ndarray] = {}

    def kept(runner: ParityRunner) -> np.ndarray:
        if runner not in results:
            results[runner] = compute(runner)
        return results[runner]

    return kept


def _step(
    model: ModelFacts, codec: CodecFacts, t: list[int], frames: int, guidance: float
) -> Callable[[ParityRunner], np.ndarray]:
    x, vocals = (np.concatenate([_latents(model, seed + i, frames) for i in range(len(t))]) for seed in (10, 20))
    sheets = _sheets(model, codec, len(t), frames)
    return lambda runner: runner.network(x, vocals, t, guidance, sheets)


def _sheets(model: ModelFacts, codec: CodecFacts, batch: int, frames: int) -> np.ndarray | None:
    """(batch, 34, frames) of songs at different tempos; None for a model that takes none."""
    if not model.sheet_channels:
        return None
    frame_s = codec.hop_samples / codec.sample_rate_hz
    duration_s = frames * frame_s
    rasters = []
    for number in range(batch):
        beats = tuple(np.arange(0.1, duration_s, 60 / (92 + 31 * number)).tolist())
        chords = tuple(ChordSpan(start_s, name) for start_s, name in zip(beats[::2], cycle(_CHORDS)))
        sheet = LeadSheet(duration_s, beats_s=beats, downbeats_s=beats[::4], chords=chords)
        rasters.append(rasterised(sheet, frames, frame_s))
    return np.stack(rasters)


def _latents(model: ModelFacts, seed: int, frames: int) -> np.ndarray:
    """(1, channels, frames): correlated in time as latents are, unit variance."""
    white = noise(seed, 0, 0, frames, model.latent_channels)
    return ((white + np.roll(white, 1, axis=1)) / np.sqrt(2)).astype(np.float32)[None]


def test_signal(codec: CodecFacts) -> np.ndarray:
    """(samples, channels), read-only: a rising tone over soft noise, different in every channel."""
    return _rising_tone(_SONG_FRAMES * codec.hop_samples, codec.sample_rate_hz, codec.channels)


@lru_cache(maxsize=1)  # both runners are given it
def _rising_tone(samples: int, sample_rate_hz: int, channels: int) -> np.ndarray:
    seconds = np.arange(samples)[:, None] / sample_rate_hz
    channel = np.arange(1, channels + 1)
    tone = 0.2 * np.sin(2 * np.pi * (110 * channel + 40 * seconds) * seconds)
    hiss = 0.02 * noise(3, 0, 0, samples, 4 * channels)[:channels].T
    signal = (tone + hiss).astype(np.float32)
    signal.flags.writeable = False
    return signal
