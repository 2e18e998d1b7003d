"""What a moment says for a beat and for a bar's beginning, as log-likelihood ratios that a decoder may add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S, Activations

HEARD = 0.1
"""Beats are heard if activations at decoded beats lie this far above the mean of all frames."""
_BEAT_PRIOR = 0.1  # share of frames in which a trained estimator is told that a beat is
_BEAT_LEAST, _BEAT_MOST = -1.6, 3.0  # a fifth of beats is not sung at all; no single peak decides alone
_DOWNBEAT_PRIOR = 0.28  # share of beats that begin a bar, over 4/4, 3/4 and 6/8
_DOWNBEAT_PSEUDO = 0.15  # of activation: beats that are hardly heard say little of the bar
_DOWNBEAT_DOUBT = 0.1
_SILENCE_FRAMES = round(1.0 / FRAME_S)
_SOUNDING = 0.3  # activation within a second that counts as singing
_POOL_FRAMES = 2  # 23 ms, by which peaks of beat and downbeat may differ


@dataclass(frozen=True, eq=False)
class BeatScores:
    """Of every frame of ``FRAME_S``, natural logarithms."""

    beat: np.ndarray
    """(frames,) for a beat against none. Zero where nothing is heard for a second on both sides: a rest says nothing,
    and not that there is no beat."""
    downbeat: np.ndarray
    """(frames,) of a beat that is here, for the bar's first, against a beat of any kind."""
    other: np.ndarray
    """(frames,) the same for a beat that begins no bar."""
    activation: np.ndarray
    """(frames,) of beats, as heard, 0 .. 1."""


def beat_scores(activations: Activations) -> BeatScores:
    """Score every frame."""
    beat = activations.beat.astype(np.float64)
    sounding = np.minimum(_pooled(beat, _SILENCE_FRAMES) / _SOUNDING, 1)
    share = np.clip(beat, 1e-3, 1 - 1e-3)
    ratio = np.log(share / (1 - share)) - np.log(_BEAT_PRIOR / (1 - _BEAT_PRIOR))
    near, near_down = _pooled(beat, _POOL_FRAMES), _pooled(activations.downbeat.astype(np.float64), _POOL_FRAMES)
    down = (np.minimum(near_down, near) + _DOWNBEAT_PRIOR * _DOWNBEAT_PSEUDO) / (near + _DOWNBEAT_PSEUDO)
    down = _DOWNBEAT_DOUBT * _DOWNBEAT_PRIOR + (1 - _DOWNBEAT_DOUBT) * down
    return BeatScores(
        np.clip(ratio, _BEAT_LEAST, _BEAT_MOST) * sounding,
        np.log(down / _DOWNBEAT_PRIOR) * sounding,
        np.log((1 - down) / (1 - _DOWNBEAT_PRIOR)) * sounding,
        beat,
    )


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
