"""A drum kit of modes and filtered noise; each song tunes its own."""

from __future__ import annotations

from enum import Enum

import numpy as np

from samuel_train.synth.dsp import SAMPLE_RATE_HZ, band_noise, damped_modes


class Drum(str, Enum):
    """What can be struck."""

    KICK = "kick"
    SNARE = "snare"
    RIM = "rim"
    CLOSED_HAT = "closed-hat"
    OPEN_HAT = "open-hat"
    SHAKER = "shaker"
    CRASH = "crash"


def build_kit(rng: np.random.Generator) -> dict[Drum, np.ndarray]:
    """Tune a kit: one stroke of every drum, (samples,) float32, peaks near 1."""
    hat_hz = float(rng.uniform(7000, 10500))
    return {
        Drum.KICK: _kick(rng),
        Drum.SNARE: _snare(rng),
        Drum.RIM: _peak(_modes([float(rng.uniform(420, 520)), 1720.0, 2300.0], [0.7, 1.0, 0.5], [60, 90, 120], 0.12)),
        Drum.CLOSED_HAT: _metal(rng, hat_hz, 0.2, decay_s=float(rng.uniform(0.018, 0.04))),
        Drum.OPEN_HAT: _metal(rng, hat_hz, 0.5, decay_s=0.14),
        Drum.SHAKER: _shaker(rng),
        Drum.CRASH: _metal(rng, 6000.0, 1.6, decay_s=0.45),
    }


def _time_s(length_s: float) -> np.ndarray:
    return np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def _peak(sound: np.ndarray) -> np.ndarray:
    return (sound / np.abs(sound).max()).astype(np.float32)


def _modes(frequencies_hz: list[float], amplitudes: list[float], decays: list[float], length_s: float) -> np.ndarray:
    samples = round(length_s * SAMPLE_RATE_HZ)
    return damped_modes(np.array(frequencies_hz), np.array(amplitudes), np.array(decays, dtype=float), samples)


def _kick(rng: np.random.Generator) -> np.ndarray:
    time_s = _time_s(0.4)
    floor_hz, drop_hz = rng.uniform(43, 58), rng.uniform(70, 180)
    phase = 2 * np.pi * np.cumsum(floor_hz + drop_hz * np.exp(-time_s / 0.03)) / SAMPLE_RATE_HZ
    body = np.sin(phase) * np.exp(-time_s / rng.uniform(0.09, 0.16))
    click = band_noise(rng, len(time_s), 3200.0, 0.7) * np.exp(-time_s / 0.004)
    return _peak(body + rng.uniform(0.05, 0.2) * click)


def _snare(rng: np.random.Generator) -> np.ndarray:
    time_s = _time_s(0.35)
    head_hz = float(rng.uniform(165, 230))
    head = _modes([head_hz, 1.59 * head_hz, 2.14 * head_hz], [1.0, 0.5, 0.3], [22, 32, 40], 0.35)
    wires = band_noise(rng, len(time_s), float(rng.uniform(3200, 5200)), 1.1)
    wires *= np.exp(-time_s / rng.uniform(0.05, 0.11))
    return _peak(0.5 * head + rng.uniform(0.35, 0.6) * wires)


def _metal(rng: np.random.Generator, centre_hz: float, length_s: float, decay_s: float) -> np.ndarray:
    time_s = _time_s(length_s)
    noise = band_noise(rng, len(time_s), centre_hz, 0.45)
    clang_hz = centre_hz * np.array([0.53, 0.71, 0.83, 1.02, 1.19])
    clang = _modes(clang_hz.tolist(), [0.5] * 5, [0.0] * 5, length_s)
    fade = np.minimum(1.0, (length_s - time_s) / 0.02)
    return _peak((noise + 0.5 * clang) * np.exp(-time_s / decay_s) * fade)


def _shaker(rng: np.random.Generator) -> np.ndarray:
    time_s = _time_s(0.11)
    noise = band_noise(rng, len(time_s), float(rng.uniform(6000, 9000)), 0.4)
    return _peak(noise * np.sin(np.pi * time_s / 0.11) ** 2)
