"""Spectra as few numbers: log envelopes on a mel-like axis, and back to WORLD's bins at 44.1 kHz.

espeak-ng's speech ends at 11 kHz, and its vowels have bare formants above 5 kHz, where voices have a slope. So voiced
frames go on from their level around 4.5 kHz, falling 17 dB an octave with a shadow of what was there; breath and
fricatives keep theirs up to 9 kHz and then fall 4 dB an octave.
"""

from __future__ import annotations

import numpy as np

from samuel_train.synth.dsp import SAMPLE_RATE_HZ

_POINTS = 96
_HIGHEST_HZ = 9000.0
_EXTENSION_HZ = np.array([10_500.0, 12_500.0, 15_000.0, 18_000.0, SAMPLE_RATE_HZ / 2])
_TOP_HZ = (5500.0, _HIGHEST_HZ)
_UPPER_HZ = (3800.0, 5300.0)
_FALL_VOICED, _FALL_UNVOICED = 17.0, 4.0  # dB an octave
_SHADOW = 0.35
_DB = np.log(10) / 10  # natural log of power per dB
WORLD_BINS = 1025
"""Of CheapTrick's default transform at 44.1 kHz."""


def _mel_points(count: int, highest_hz: float) -> np.ndarray:
    return 700 * np.expm1(np.linspace(0, np.log1p(highest_hz / 700), count))


ENVELOPE_HZ = _mel_points(_POINTS, _HIGHEST_HZ)
"""Where envelopes are kept."""
APERIODICITY_HZ = np.array([0.0, 1500.0, 3000.0, 4500.0, 6000.0, 8000.0, 10_000.0])
"""Where aperiodicity is kept."""


def interpolation(known_hz: np.ndarray, asked_hz: np.ndarray) -> np.ndarray:
    """(known, asked) float32 weights: values at ``known_hz`` @ weights are values at ``asked_hz``, ends held."""
    at = np.interp(asked_hz, known_hz, np.arange(len(known_hz)))
    lower = np.minimum(at.astype(int), len(known_hz) - 2)
    weights = np.zeros((len(known_hz), len(asked_hz)), dtype=np.float32)
    columns = np.arange(len(asked_hz))
    weights[lower, columns] = 1 - (at - lower)
    weights[lower + 1, columns] = at - lower
    return weights


def spectra(envelopes: np.ndarray, voiced: np.ndarray, stretch: float) -> np.ndarray:
    """Power spectra (frames, WORLD_BINS) of log envelopes (frames, points), formants moved up by ``stretch``."""
    whole = np.where(voiced[:, None], _continued_voice(envelopes), _continued_noise(envelopes)).astype(np.float32)
    known_hz = np.concatenate([ENVELOPE_HZ, _EXTENSION_HZ]) * stretch
    known_hz[-1] = max(known_hz[-1], SAMPLE_RATE_HZ / 2)
    bins_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, WORLD_BINS)
    return np.exp(whole @ interpolation(known_hz, bins_hz)).astype(np.float64)


def _continued_noise(envelopes: np.ndarray) -> np.ndarray:
    """(frames, points + extension)."""
    top = (_TOP_HZ[0] <= ENVELOPE_HZ) & (_TOP_HZ[1] >= ENVELOPE_HZ)
    level = envelopes[:, top].mean(axis=1, keepdims=True)
    fall = _FALL_UNVOICED * _DB * np.log2(_EXTENSION_HZ / np.sqrt(_TOP_HZ[0] * _TOP_HZ[1]))
    return np.concatenate([envelopes, level - fall], axis=1)


def _continued_voice(envelopes: np.ndarray) -> np.ndarray:
    """(frames, points + extension)."""
    upper = (_UPPER_HZ[0] <= ENVELOPE_HZ) & (_UPPER_HZ[1] >= ENVELOPE_HZ)
    level = envelopes[:, upper].mean(axis=1, keepdims=True)
    every_hz = np.concatenate([ENVELOPE_HZ, _EXTENSION_HZ])
    slope = level - _FALL_VOICED * _DB * np.log2(np.maximum(every_hz, 1.0) / np.sqrt(_UPPER_HZ[0] * _UPPER_HZ[1]))
    sloping = slope[:, : len(ENVELOPE_HZ)]
    shadowed = sloping + np.clip(_SHADOW * (envelopes - sloping), -6 * _DB, 6 * _DB)
    share = np.clip((ENVELOPE_HZ - _UPPER_HZ[0]) / (_UPPER_HZ[1] - _UPPER_HZ[0]), 0, 1)
    return np.concatenate([(1 - share) * envelopes + share * shadowed, slope[:, len(ENVELOPE_HZ) :]], axis=1)


def aperiodicities(kept: np.ndarray, breath: float) -> np.ndarray:
    """(frames, WORLD_BINS) of values at APERIODICITY_HZ, with the noise of a human voice added.

    espeak-ng's vowels are too clean high up; ``breath`` is the share of noise at 4 kHz.
    """
    bins_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, WORLD_BINS)
    breathy = breath * np.interp(bins_hz, [0, 1000, 4000, 8000], [0.05, 0.2, 1.0, 2.2])
    rough = np.interp(bins_hz, [4000, 7000, 12_000, 17_000], [0.0, 0.3, 0.75, 0.95])  # in every voice
    least = np.minimum(np.maximum(breathy, rough), 0.97)
    decoded = kept.astype(np.float32) @ interpolation(APERIODICITY_HZ, bins_hz)
    return np.clip(np.maximum(decoded, least), 0.001, 0.999).astype(np.float64)
