"""Recordings in memory, and everything that the library takes for a recording."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from samuel_runtime.audio.level import Level, Meter
from samuel_runtime.audio.reading import (
    BLOCK_SAMPLES,
    MOST_CHANNELS,
    AudioFile,
    Recording,
    check_finite,
    check_format,
    resampled,
    resampled_count,
)
from samuel_runtime.audio.writing import check_encodable, check_target, gain_under, write_audio
from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing

AudioLike = Recording | str | os.PathLike[str] | tuple[np.ndarray, int]
"""A file's path, an :class:`Audio` or :class:`AudioFile`, or samples with their rate as :class:`Audio` takes them."""


@dataclass(frozen=True, eq=False)
class Audio:
    """A recording in memory.

    Raises:
        UserError: samples or rate that no recording has.
    """

    samples: np.ndarray
    """(samples, channels) float32, full scale at 1.0.

    Given as (samples,) for mono or (samples, channels), of any floating-point type, or of signed integers, whose full
    scale becomes 1.0.
    """
    sample_rate_hz: int

    def __post_init__(self) -> None:
        samples = _as_float32(self.samples)
        if samples.ndim == 1:
            samples = samples[:, None]
        if samples.ndim != 2:
            raise UserError(f"audio: expected (samples, channels), not {samples.ndim} axes; make it one or two")
        if samples.shape[1] > MOST_CHANNELS >= samples.shape[0]:
            raise UserError(f"audio: expected (samples, channels), not the shape {samples.shape}; use samples.T")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "sample_rate_hz", _rate_hz(self.sample_rate_hz))
        check_format("audio", self.sample_rate_hz, samples.shape[1], samples.shape[0])
        check_finite("audio", samples)

    @classmethod
    def read(cls, path: Path | str) -> Audio:
        """Read a whole file into memory.

        Raises:
            UserError: as :meth:`AudioFile.open`.
        """
        source = AudioFile.open(path)
        return cls(np.concatenate(list(source.blocks())), source.sample_rate_hz)

    @property
    def samples_count(self) -> int:
        """Samples per channel."""
        return len(self.samples)

    @property
    def channels(self) -> int:
        """Channels of every sample."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz

    @cached_property
    def level(self) -> Level:
        """Peak and gated RMS of the whole."""
        meter = Meter(self.sample_rate_hz)
        meter.add(self.samples)
        return meter.level()

    def blocks(self) -> Iterator[np.ndarray]:
        """The recording in blocks, (samples, channels)."""
        for start in range(0, len(self.samples), BLOCK_SAMPLES):
            yield self.samples[start : start + BLOCK_SAMPLES]

    def write(self, path: Path | str) -> float:
        """Write a file whose format follows the suffix (.wav, .flac, .aiff, .ogg, .mp3), whole or not at all.

        As `samuel-run` does, audio that would clip is turned down as a whole.

        Returns:
            The gain that was applied, 1.0 or less.

        Raises:
            UserError: the file cannot be written, or its format takes no such audio.
        """
        path = Path(path)
        check_target(path)
        check_encodable(path, self.sample_rate_hz, self.channels)
        with replacing(path) as temporary:
            return write_audio(temporary, self.blocks, self.level.peak, self.sample_rate_hz)

    def mixed_with(self, voice: AudioLike) -> Audio:
        """This accompaniment and the voice that it was made for, mixed as by `samuel-run --mix`.

        The accompaniment's loudness is brought 3 dB below the voice's; peaks may exceed full scale, which
        :meth:`write` takes back.

        Raises:
            UserError: the voice cannot be read, or is not as long as this.
        """
        sung = recording_of(voice)
        if resampled_count(sung, self.sample_rate_hz) != self.samples_count:
            raise UserError(
                f"audio: the voice lasts {sung.samples_count / sung.sample_rate_hz:.3f} s and the accompaniment "
                f"{self.duration_s:.3f} s; use the voice that it was made for"
            )
        laid_out = np.concatenate(list(resampled(sung, self.sample_rate_hz, self.channels)))
        return Audio(laid_out + gain_under(sung.level, self.level) * self.samples, self.sample_rate_hz)


def recording_of(audio: AudioLike) -> Recording:
    """Whatever stands for a recording, as one.

    Raises:
        UserError: it is none, or not in order.
    """
    if isinstance(audio, (str, os.PathLike)):
        return AudioFile.open(Path(audio))
    if isinstance(audio, tuple) and len(audio) == 2:
        return Audio(*audio)
    if hasattr(audio, "blocks") and hasattr(audio, "level"):
        return audio
    raise UserError(f"audio must be a path, an Audio or (samples, sample rate), not {type(audio).__name__}")


def _as_float32(given: np.ndarray) -> np.ndarray:
    """Samples of any type as float32, full scale at 1.0."""
    samples = np.asarray(given)
    if samples.dtype.kind == "i":
        # Through float64, which holds 32 bits; float32 then rounds once, as libsndfile does.
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    if samples.dtype.kind != "f":
        raise UserError(f"audio: samples of type {samples.dtype}; make them floating-point or signed integers")
    with np.errstate(over="ignore"):  # what is too large for float32 is infinite, and refused as that
        return samples.astype(np.float32, copy=False)


def _rate_hz(given: object) -> int:
    try:
        rate_hz = int(given)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        rate_hz = None
    if rate_hz is None or rate_hz != given:
        raise UserError(f"audio: the sample rate must be a whole number of Hz, not {type(given).__name__}; use an int")
    return int(rate_hz)
