"""From recordings to latents and back, as every part of an evaluation needs it."""

from __future__ import annotations

import numpy as np

from samuel_runtime.audio.samples import Audio
from samuel_runtime.pipeline import Samuel


def encode_voice(samuel: Samuel, voice: np.ndarray) -> np.ndarray:
    """Normalised latents (channels, frames) of a voice (samples, channels) at the codec's rate, as a user's is."""
    return samuel.encode(Audio(voice, samuel.manifest.codec.sample_rate_hz))


def encode_band(samuel: Samuel, band: np.ndarray) -> np.ndarray:
    """Latents (channels, frames) of a band (samples, channels), normalised as a generated band's are."""
    frames = -(-len(band) // samuel.manifest.codec.hop_samples)
    return as_band(samuel, samuel.codec.encode(iter([band]), frames))  # encoded as if it were a voice


def as_band(samuel: Samuel, vocals: np.ndarray) -> np.ndarray:
    """A voice's normalised latents (channels, frames), normalised as a generated band's are."""
    statistics = samuel.manifest.statistics
    latents = vocals * statistics.vocals_std[:, None] + statistics.vocals_mean[:, None]
    return np.asarray(statistics.normalise_accompaniment(latents))


def render(samuel: Samuel, latents: np.ndarray, samples: int) -> np.ndarray:
    """The waveform (samples, channels) of a band's normalised latents (channels, frames)."""
    return np.concatenate(list(samuel.codec.decode(latents)))[:samples]
