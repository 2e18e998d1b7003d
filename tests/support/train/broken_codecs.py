"""Codecs that are broken in one way each, as short-time Fourier transforms with a fault."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import ShortTimeFFT, get_window

RATE_HZ = 44_100
HOP = 2048
_WINDOW = 8192


def _stft(window: int, hop: int) -> ShortTimeFFT:
    return ShortTimeFFT(get_window("hann", window), hop, RATE_HZ)


def _each_channel(samples: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.stack([change(channel)[: len(samples)] for channel in samples.T], axis=1).astype(np.float32)


def with_constant_phases(samples: np.ndarray) -> np.ndarray:
    """Every frame of 2048 samples has the magnitudes it should have, and the same phases as all others."""
    directions = np.exp(2j * np.pi * np.random.default_rng(0).random(HOP + 1))[:, None]

    def change(channel: np.ndarray) -> np.ndarray:
        transform = _stft(2 * HOP, HOP)
        return transform.istft(np.abs(transform.stft(channel)) * directions, k1=len(channel))

    return _each_channel(samples, change)


def with_rounded_pitch(samples: np.ndarray) -> np.ndarray:
    """Every bin of 5.4 Hz goes to the nearest multiple of 21.5 Hz, in magnitude and turning as that turns."""
    nearest = np.round(np.arange(_WINDOW // 2 + 1) / 4).astype(int) * 4

    def change(channel: np.ndarray) -> np.ndarray:
        transform = _stft(_WINDOW, HOP)
        power = np.square(np.abs(transform.stft(channel)))
        gathered = np.zeros_like(power)
        np.add.at(gathered, nearest, power)
        return transform.istft(np.sqrt(gathered) + 0j, k1=len(channel))

    return _each_channel(samples, change)


def with_smeared_magnitudes(samples: np.ndarray) -> np.ndarray:
    """Magnitudes are means over three bins of 21.5 Hz; what their phases would make of that is not put right."""

    def change(channel: np.ndarray) -> np.ndarray:
        transform = _stft(2048, 512)
        spectrum = transform.stft(channel)
        magnitude = np.abs(spectrum)
        padded = np.pad(magnitude, ((1, 1), (0, 0)), mode="edge")
        smeared = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
        return transform.istft(smeared * np.exp(1j * np.angle(spectrum)), k1=len(channel))

    return _each_channel(samples, change)


def with_smeared_time(samples: np.ndarray) -> np.ndarray:
    """The envelope is averaged over 30 ms to either side."""
    width = round(0.06 * RATE_HZ)

    def change(channel: np.ndarray) -> np.ndarray:
        envelope = np.sqrt(np.convolve(np.square(channel), np.ones(64) / 64, "same")) + 1e-6
        return channel / envelope * np.convolve(envelope, np.ones(width) / width, "same")

    return _each_channel(samples, change)
