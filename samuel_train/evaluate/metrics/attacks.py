"""Do attacks stay sharp? Energy just before an onset against the energy just after it.

A decoder that smears the spectrum in time lets a drum be heard before it is struck.
"""

from __future__ import annotations

import librosa
import numpy as np

_SIDE_S = 0.020
_DETECTION_HOP = 256
_SEARCH_S, _STEP_S = 0.030, 0.001
_CLEAR_DB = 6.0  # onsets that rise by less do not tell how sharp they are
_APART_S = 0.080
_QUIET = 1e-10


def attack_times(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Seconds at which something clearly begins, (onsets,): librosa's onsets, moved to where the energy rises most.

    Args:
        samples: (samples, channels).
        sample_rate_hz: of the samples.
    """
    mono = samples.mean(axis=1).astype(np.float32)
    found_s = librosa.onset.onset_detect(y=mono, sr=sample_rate_hz, hop_length=_DETECTION_HOP, units="time")
    near_s = found_s[:, None] + np.arange(-_SEARCH_S, _SEARCH_S, _STEP_S)  # (onsets, places)
    rises_db = np.nan_to_num(rise_db(samples, sample_rate_hz, near_s), nan=-np.inf)
    best = rises_db.argmax(axis=1)[:, None]
    refined_s = np.take_along_axis(near_s, best, axis=1)[:, 0]
    clear = np.take_along_axis(rises_db, best, axis=1)[:, 0] >= _CLEAR_DB
    times_s: list[float] = []
    for time_s in refined_s[clear].tolist():
        if not times_s or time_s - times_s[-1] > _APART_S:
            times_s.append(time_s)
    return np.array(times_s)


def rise_db(samples: np.ndarray, sample_rate_hz: int, times_s: np.ndarray) -> np.ndarray:
    """Energy of the 20 ms after each time over that of the 20 ms before, dB, shaped as they; NaN too near to an end."""
    side = round(_SIDE_S * sample_rate_hz)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64).sum(axis=1))])
    centre = np.round(times_s * sample_rate_hz).astype(int)
    inside = (centre >= side) & (centre + side < len(energy))
    at = np.clip(centre, side, max(side, len(energy) - 1 - side))
    if len(energy) <= 2 * side:
        return np.full(times_s.shape, np.nan)
    before, after = energy[at] - energy[at - side], energy[at + side] - energy[at]
    return np.where(inside, 10 * np.log10((after + _QUIET) / (before + _QUIET)), np.nan)


def mean_rise_db(samples: np.ndarray, sample_rate_hz: int, attacks_s: np.ndarray) -> float:
    """By how many dB the energy rises at what clearly begins, the mean; 0 where nothing does."""
    rises_db = rise_db(samples, sample_rate_hz, attacks_s)
    return float(np.nanmean(rises_db)) if np.isfinite(rises_db).any() else 0.0


def attack_loss_db(samples: np.ndarray, reference: np.ndarray, sample_rate_hz: int) -> float:
    """By how many dB the onsets of the reference rise less in the samples, their mean; NaN where nothing begins."""
    times_s = attack_times(reference, sample_rate_hz)
    lost = rise_db(reference, sample_rate_hz, times_s) - rise_db(samples, sample_rate_hz, times_s)
    return float(np.nanmean(lost)) if np.isfinite(lost).any() else float("nan")
