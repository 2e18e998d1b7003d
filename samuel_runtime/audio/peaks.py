"""Peaks of a sound that stand far above everything else in it, as attacks of drums do."""

from __future__ import annotations

import numpy as np

from samuel_runtime.audio.channels import loudest

_KNEE = 0.6  # of the ceiling: what stays as it is


def with_peaks_below(samples: np.ndarray, ceiling: float | None) -> np.ndarray:
    """The sound with its peaks rounded off, so that they need not turn all of it down.

    Above the knee k the largest channel becomes k + (c - k) tanh((x - k) / (c - k)) of a ceiling c, and the others keep
    their ratio to it. It takes no time of its own, so that blocks of a sound become what the whole sound does.

    Args:
        samples: float32 (samples, channels).
        ceiling: which no sample reaches; None gives back the very samples.
    """
    if ceiling is None:
        return samples
    knee = np.float32(_KNEE * ceiling)
    room = np.float32(ceiling) - knee
    magnitudes = loudest(samples)
    high = np.flatnonzero(magnitudes > knee)  # one sample in a thousand
    peaks = magnitudes[high]
    rounded = knee + room * np.tanh((peaks - knee) / room)
    result = samples.copy()
    result[high] *= (rounded / peaks)[:, None]
    return result
