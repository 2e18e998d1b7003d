"""How far the fine structure of a spectrum is off where the ear is finest: bins of 5.4 Hz below 2 kHz."""

from __future__ import annotations

import numpy as np
from scipy.signal import ShortTimeFFT, get_window

_WINDOW_S = 8192 / 44100  # 186 ms
_HIGHEST_HZ = 2000.0
_FLOOR = 1e-4
"""Magnitude below which nothing is compared: 80 dB below a sine of full scale."""


def log_spectral_distance_db(samples: np.ndarray, reference: np.ndarray, sample_rate_hz: int) -> float:
    """Mean absolute difference of log magnitudes below 2 kHz, Hann windows of 186 ms with 75 % overlap, in dB.

    Args:
        samples: (samples, channels).
        reference: what they should be, of the same shape.
        sample_rate_hz: of both.
    """
    return float(np.abs(fine_spectrum_db(samples, sample_rate_hz) - fine_spectrum_db(reference, sample_rate_hz)).mean())


def fine_spectrum_db(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """(bins, frames) in dB of full scale, of the mean of the channels (samples, channels)."""
    size = round(_WINDOW_S * sample_rate_hz)
    transform = ShortTimeFFT(get_window("hann", size), size // 4, sample_rate_hz, scale_to="magnitude")
    bins = int(_HIGHEST_HZ / transform.delta_f)
    mono = np.pad(samples.mean(axis=1), (0, max(0, size - len(samples))))
    magnitude = 2 * np.abs(transform.stft(mono))[1:bins]  # 2: for a real sine's two halves
    return np.asarray(20 * np.log10(np.maximum(magnitude, _FLOOR)))
