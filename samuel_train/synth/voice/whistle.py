"""A whistled melody: nearly a sine, with the air around it."""

from __future__ import annotations

import numpy as np

from samuel_train.synth.compose.phrasing import CONTROL_S
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, band_noise

_LOWEST_HZ = 650.0
_SECOND_HARMONIC = 0.03


def octaves_up(f0_hz: np.ndarray) -> int:
    """How many octaves above the written notes lips can whistle them."""
    return max(int(np.ceil(np.log2(_LOWEST_HZ / float(np.median(f0_hz))))), 0)


def whistle(rng: np.random.Generator, f0_hz: np.ndarray, loudness: np.ndarray, breath: float) -> np.ndarray:
    """The dry whistle, (samples,) float32; ``f0_hz`` is what sounds."""
    samples = round((len(f0_hz) + 1) * CONTROL_S * SAMPLE_RATE_HZ)
    at = np.arange(samples) / (CONTROL_S * SAMPLE_RATE_HZ)
    points = np.arange(len(f0_hz))
    phase = 2 * np.pi * np.cumsum(np.interp(at, points, f0_hz)) / SAMPLE_RATE_HZ
    level = np.interp(at, points, loudness)
    tone = np.sin(phase) + _SECOND_HARMONIC * np.sin(2 * phase)
    air = band_noise(rng, samples, 2.0 * float(np.median(f0_hz)), 0.8)
    return (level * tone + np.sqrt(level) * 0.15 * breath * air).astype(np.float32)
