"""What recordings have that generated songs lack: another microphone's tone, a room, the upper limit of a format.

All three are linear and do not change with time, so they are one product of spectra.
"""

from __future__ import annotations

import numpy as np

_TONE_HZ = (60.0, 300.0, 1200.0, 5000.0, 15_000.0)
_TONE_DB = 8.0
_ROOM_SHARE = 0.4
_ROOM_S = (0.03, 0.3)  # in which its echoes fall by 60 dB
_ROOM_DB = (-24.0, -6.0)  # all echoes' energy, over that of the direct sound
_LIMITED_SHARE = 0.25
_LIMIT_HZ = (4000.0, 17_000.0)


def recorded(rng: np.random.Generator, audio: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """A recording (channels, samples) as another microphone in another place might have made it, of the same size."""
    channels, samples = audio.shape
    padded = _quick_length(samples + round(_ROOM_S[1] * sample_rate_hz))  # nothing wraps round
    hz = np.fft.rfftfreq(padded, 1 / sample_rate_hz)
    decibels = rng.uniform(-_TONE_DB, _TONE_DB, len(_TONE_HZ))
    response = 10 ** (np.interp(np.log(np.maximum(hz, 1.0)), np.log(_TONE_HZ), decibels) / 20)
    if rng.random() < _LIMITED_SHARE:
        response = response * (hz < rng.uniform(*_LIMIT_HZ))
    if rng.random() < _ROOM_SHARE:
        response = response * np.fft.rfft(_room(rng, channels, sample_rate_hz), padded)
    spectrum = np.fft.rfft(audio, padded) * response.astype(np.complex64)
    return np.fft.irfft(spectrum, padded)[:, :samples].astype(np.float32)


def _room(rng: np.random.Generator, channels: int, sample_rate_hz: int) -> np.ndarray:
    """The direct sound and noise that dies away: an impulse response (channels, samples)."""
    samples = round(rng.uniform(*_ROOM_S) * sample_rate_hz)
    echoes = rng.standard_normal((channels, samples)) * 10 ** (-3 * np.arange(samples) / samples)
    energy = 10 ** (rng.uniform(*_ROOM_DB) / 10)
    response = echoes * np.sqrt(energy / np.square(echoes).sum(axis=1, keepdims=True))
    response[:, 0] = 1
    return response


def _quick_length(samples: int) -> int:
    """The next multiple of 8192: lengths with large primes take several times as long to transform."""
    return -(-samples // 8192) * 8192
