"""Long windows made of short ones: where a sine appears, how loud, and what stays beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from samuel_train.codec.model.long_windows import LONG_BINS, LongWindows
from samuel_train.codec.model.stft import Analysis

RATE_HZ = 44_100
BIN_HZ = RATE_HZ / 2048 / 5
HZ = BIN_HZ * np.arange(6, 6 + LONG_BINS)


def amplitudes(audio: torch.Tensor) -> np.ndarray:
    """(samples,) to (frames, LONG_BINS)."""
    real, imaginary = Analysis()(audio[None, None])
    return LongWindows()(real[:, 0], imaginary[:, 0])[0].sqrt().numpy()


def sine(hz: float, phase: float = 0.7, frames: int = 24) -> torch.Tensor:
    return torch.sin(2 * np.pi * hz / RATE_HZ * torch.arange(frames * 2048, dtype=torch.float64) + phase).float()


@pytest.mark.parametrize("hz", [41.2, 43.65, 55.0, 98.0, 110.0, 261.6, 440.0, 587.3])
def test_a_sine_is_a_peak_at_its_frequency(hz: float) -> None:
    within = amplitudes(sine(hz))[6:-6]
    assert np.all(np.abs(HZ[within.argmax(axis=1)] - hz) <= 0.6 * BIN_HZ)
    assert np.all((within.max(axis=1) > 0.85) & (within.max(axis=1) < 1.02))
    assert within[:, np.abs(HZ - hz) > 30].max() < 0.011  # -39 dB
    assert within.std(axis=0).max() < 2e-3  # wherever the window lies


def test_two_notes_of_a_bass_are_two_peaks() -> None:
    (within,) = amplitudes(sine(65.4) + sine(98.0, 2.0))[12:13]
    peaks = 1 + np.flatnonzero((within[1:-1] > within[:-2]) & (within[1:-1] > within[2:]) & (within[1:-1] > 0.3))
    assert np.allclose(HZ[peaks], [65.4, 98.0], atol=BIN_HZ)


def test_what_lies_above_is_not_heard() -> None:
    assert amplitudes(sine(1500.0))[6:-6].max() < 1e-3
