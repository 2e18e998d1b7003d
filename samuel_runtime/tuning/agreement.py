"""Does a backend sound like the reference backend? A band for one short voice, generated on both, compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from samuel_runtime.audio.mel import log_mel_distance
from samuel_runtime.audio.samples import Audio
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Settings

# For scale, from the packaged bundle's sample of 25 steps: another seed is -3 dB and 2.5 away, 24 steps are 31 dB and
# 0.08, a guidance of 2.1 in place of 2.0 32 dB and 0.04; its codec is 0.39 from the original. OpenVINO's bfloat16 in
# the denoiser is 45 dB and 0.01 (real voices: 34 dB and up), in the codec as well 22 dB and 0.23: that shall not pass.
LATENT_SNR_MIN_DB = 30.0
"""About what one step more or less changes."""
LOG_MEL_MAX = 0.05
"""Well below what one step changes, an eighth of what the codec costs, half a decibel in every band."""
IDENTICAL_DB = 200.0
"""Stands for no difference at all."""

_NOTES_HZ = (220.0, 247.0, 277.0, 330.0)
_HARMONICS = np.arange(1, 13)


@dataclass(frozen=True, eq=False)
class GeneratedSample:
    """What a backend generates for one short voice."""

    latents: np.ndarray
    """(channels, frames), normalised."""
    band: Audio
    """The same, decoded."""


@dataclass(frozen=True)
class Agreement:
    """How close a sample is to the reference's."""

    latent_snr_db: float
    """Power of the reference's latents over that of the difference."""
    log_mel: float
    """Log-mel distance of the decoded audio, see audio/mel.py."""

    @property
    def passed(self) -> bool:
        """Whether nobody should hear the difference; never if something is NaN."""
        return self.latent_snr_db >= LATENT_SNR_MIN_DB and self.log_mel <= LOG_MEL_MAX

    @property
    def error(self) -> float:
        """Relative L2 distance of the latents."""
        return 0.0 if self.latent_snr_db >= IDENTICAL_DB else float(10 ** (-self.latent_snr_db / 20))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "passed": self.passed}


def agreement(samuel: Samuel, reference: Samuel) -> Agreement:
    """Run both, of the same bundle, and compare.

    Raises:
        UserError: one of them fails to run, or makes latents that are not finite.
    """
    return compare(generated_sample(samuel), generated_sample(reference))


def generated_sample(samuel: Samuel) -> GeneratedSample:
    """Generate a band for a synthetic voice of the shortest window, with the default settings.

    Raises:
        UserError: as :func:`agreement`.
    """
    voice = _voice(samuel.manifest.model.frames_min * samuel.manifest.codec.hop_samples, samuel)
    latents = samuel.generate(samuel.encode(voice), Settings())
    return GeneratedSample(latents, Audio(np.concatenate(list(samuel.decode(latents, voice))), voice.sample_rate_hz))


def compare(made: GeneratedSample, reference: GeneratedSample) -> Agreement:
    """A sample against the reference's."""
    difference = np.square(made.latents - reference.latents, dtype=np.float64).mean()
    return Agreement(
        _decibels(np.square(reference.latents, dtype=np.float64).mean(), difference),
        log_mel_distance(made.band.samples, reference.band.samples, reference.band.sample_rate_hz),
    )


def _voice(samples: int, samuel: Samuel) -> Audio:
    """Four sung notes: harmonics with vibrato, swelling and fading. No graph is at its ease with silence or noise."""
    rate_hz = samuel.manifest.codec.sample_rate_hz
    time_s = np.arange(samples) / rate_hz
    note = np.arange(samples) * len(_NOTES_HZ) // samples
    pitch_hz = np.array(_NOTES_HZ)[note] * (1 + 0.01 * np.sin(2 * np.pi * 5.5 * time_s))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    tone = (np.sin(phase[:, None] * _HARMONICS) / _HARMONICS**1.5).sum(axis=1)
    swell = np.sin(np.pi * (np.arange(samples) * len(_NOTES_HZ) / samples - note))
    return Audio((0.2 * swell * tone).astype(np.float32), rate_hz)


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return IDENTICAL_DB
    return float(min(10 * np.log10(signal / noise), IDENTICAL_DB)) if signal else -IDENTICAL_DB
