"""What a moment says for a beat and for a bar's beginning, as log-likelihood ratios that a decoder may add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S, Activations

HEARD = 0.1
"""Beats are heard if activations at decoded beats lie this far above the mean of all frames."""
_INDIFFERENT = 0.3  # share of the song's usual peak at which an activation speaks neither for a beat nor against one
_BEAT_LEAST, _BEAT_MOST = -1.6, 3.0  # a fifth of beats is not sung at all; no single peak decides alone
_BAR_PSEUDO = 0.15  # of activation: beats that are hardly heard say little of the bar
_BAR_MOST = 2.5
_SILENCE_FRAMES = round(1.0 / FRAME_S)
_SOUNDING = 0.3  # activation within a second that counts as singing
_POOL_FRAMES = 2  # 23 ms, by which peaks of beat and downbeat may differ


@dataclass(frozen=True, eq=False)
class BeatScores:
    """Of every frame of ``FRAME_S``, natural logarithms."""

    beat: np.ndarray
    """(frames,) for a beat against none. Zero where nothing is heard for a second on both sides: a rest says nothing,
    and not that there is no beat."""
    bar: np.ndarray
    """(frames,) of a beat that is here, that it begins a bar rather than none; zero on average over the song's beats:
    an estimator that gives all downbeats too much or too little shall make bars no shorter or longer."""
    activation: np.ndarray
    """(frames,) of beats, as heard, 0 .. 1."""


def beat_scores(activations: Activations) -> BeatScores:
    """Score every frame."""
    beat = activations.beat.astype(np.float64)
    peaks = _pooled(beat, _SILENCE_FRAMES)
    sounding = np.minimum(peaks / _SOUNDING, 1)
    usual = float(np.median(peaks[peaks >= HEARD])) if (peaks >= HEARD).any() else 1.0
    indifferent = _INDIFFERENT * min(usual, 0.99)
    share = np.clip(beat, 1e-3, 1 - 1e-3)
    ratio = np.log(share / (1 - share)) - np.log(indifferent / (1 - indifferent))
    return BeatScores(np.clip(ratio, _BEAT_LEAST, _BEAT_MOST) * sounding, _bar_scores(activations), beat)


def near_maximum(values: np.ndarray, times_s: np.ndarray, frames: int = 3) -> np.ndarray:
    """Largest value within some frames of each time."""
    at = np.clip(np.round(times_s / FRAME_S - 0.5).astype(int), 0, len(values) - 1)
    return _pooled(values, frames)[at]


def _pooled(values: np.ndarray, reach: int) -> np.ndarray:
    """Maximum over ``reach`` frames to both sides, in log2(reach) passes over ever wider windows."""
    pooled = np.pad(values, reach, constant_values=-np.inf)
    width, whole = 1, 2 * reach + 1
    while width < whole:
        step = min(width, whole - width)
        pooled = np.maximum(pooled[:-step], pooled[step:])
        width += step
    return pooled


def _bar_scores(activations: Activations) -> np.ndarray:
    beat = _pooled(activations.beat.astype(np.float64), _POOL_FRAMES)
    downbeat = np.minimum(_pooled(activations.downbeat.astype(np.float64), _POOL_FRAMES), beat)
    mean = np.clip((downbeat * beat).sum() / max(float((beat * beat).sum()), 1e-9), 0.02, 0.98)
    share = np.clip((downbeat + _BAR_PSEUDO * mean) / (beat + _BAR_PSEUDO), 0.01, 0.99)
    gain = np.log(share / (1 - share)) - np.log(mean / (1 - mean))
    return np.asarray(np.clip(gain, -_BAR_MOST, _BAR_MOST) * np.minimum(beat / _SOUNDING, 1))
