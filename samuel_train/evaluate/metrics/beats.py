"""Where the beats fall and how fast they are: tracked beats against the true ones."""

from __future__ import annotations

import librosa
import mir_eval
import numpy as np

from samuel_train.evaluate.spectra import ANALYSIS_RATE_HZ, HOP_SAMPLES

_BEATS_APART = 8
"""Tempo is taken over this many beats: frames are 23 ms, 5 % of one beat at 120 bpm but 0.6 % of eight."""
_TEMPO_TOLERANCE = 0.04  # Gouyon et al. (2006), "accuracy 2", of whose factors octaves are kept
_TEMPO_FACTORS = (0.5, 1.0, 2.0)
_NEAR_S = 0.07  # as mir_eval's beats


def track_beats(onset_strength: np.ndarray) -> np.ndarray:
    """Times of the beats in seconds, by dynamic programming (Ellis, 2007, in librosa); empty if nothing begins."""
    _, beats_s = librosa.beat.beat_track(
        onset_envelope=onset_strength, sr=ANALYSIS_RATE_HZ, hop_length=HOP_SAMPLES, units="time"
    )
    return np.asarray(beats_s, dtype=np.float64)


def tempo_bpm(beats_s: np.ndarray) -> float:
    """Beats per minute, the median over stretches of eight beats, or over all there are; 0 for less than two."""
    if len(beats_s) < 2:
        return 0.0
    apart = min(_BEATS_APART, len(beats_s) - 1)
    return float(60 * apart / np.median(beats_s[apart:] - beats_s[:-apart]))


def beat_score(reference_s: np.ndarray, estimated_s: np.ndarray) -> float:
    """F-measure of the beats, each right within 70 ms (mir_eval); 0 if there are none."""
    if not len(reference_s) or not len(estimated_s):
        return 0.0
    return float(mir_eval.beat.f_measure(reference_s, estimated_s))


def click_offset_ms(attacks_s: np.ndarray, beats_s: np.ndarray) -> float:
    """How late attacks are against a click on the beats: the median over beats with one within 70 ms; NaN without."""
    if not len(attacks_s) or not len(beats_s):
        return float("nan")
    offsets_s = attacks_s[np.abs(attacks_s[:, None] - beats_s).argmin(axis=0)] - beats_s
    near_s = offsets_s[np.abs(offsets_s) <= _NEAR_S]
    return 1000 * float(np.median(near_s)) if len(near_s) else float("nan")


def tempo_agrees(reference_bpm: float, estimated_bpm: float) -> bool:
    """Whether the tempo is within 4 % of the reference, or of its half or its double."""
    allowed = [factor * reference_bpm for factor in _TEMPO_FACTORS]
    return estimated_bpm > 0 and any(abs(estimated_bpm - tempo) <= _TEMPO_TOLERANCE * tempo for tempo in allowed)
