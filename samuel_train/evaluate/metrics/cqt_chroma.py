"""Harmony as a standard tool hears it: librosa's chroma of a constant-Q transform, by the second.

The bins of a constant-Q transform are a third of a semitone wide in every octave, so a bass that is off by a
semitone changes them, which the bins of a short Fourier window do not resolve.
"""

from __future__ import annotations

from itertools import pairwise

import librosa
import numpy as np
import soxr

_RATE_HZ = 22_050
_HOP_SAMPLES = 512
_SILENT = 1e-6
_CLASSES = 12


def cqt_chroma(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Mean chroma of every whole second, (12, seconds), of (samples, channels); A is 440 Hz."""
    mono = soxr.resample(samples.mean(axis=1), sample_rate_hz, _RATE_HZ)
    if len(mono) < _RATE_HZ:
        return np.zeros((_CLASSES, 0))
    chroma = librosa.feature.chroma_cqt(y=mono, sr=_RATE_HZ, hop_length=_HOP_SAMPLES, norm=None, tuning=0.0)
    seconds = len(mono) // _RATE_HZ
    edges = np.round(np.arange(seconds + 1) * _RATE_HZ / _HOP_SAMPLES).astype(int)
    return np.stack([chroma[:, a:b].mean(axis=1) for a, b in pairwise(edges)], axis=1)


def chroma_correlation(made: np.ndarray, true: np.ndarray) -> float:
    """Pearson's correlation over the pitch classes of two of :func:`cqt_chroma`, mean over the seconds in which the
    second sounds, of as many as both have; NaN if there is none."""
    seconds = min(made.shape[1], true.shape[1])
    made, true = made[:, :seconds], true[:, :seconds]
    sounding = true.max(axis=0) > _SILENT
    if not sounding.any():
        return float("nan")
    made, true = (each[:, sounding] - each[:, sounding].mean(axis=0) for each in (made, true))
    lengths = np.linalg.norm(made, axis=0) * np.linalg.norm(true, axis=0)
    return float(np.mean((made * true).sum(axis=0) / np.maximum(lengths, _SILENT**2)))


def cqt_chroma_correlation(samples: np.ndarray, reference: np.ndarray, sample_rate_hz: int) -> float:
    """Pearson's correlation over the twelve pitch classes, mean over the seconds in which the reference sounds.

    Args:
        samples: (samples, channels), at least a second.
        reference: what they should be, of the same shape.
        sample_rate_hz: of both.

    Returns:
        1 for the same harmony, 0 for chance; NaN where the reference is silent or shorter than a second.
    """
    made, true = (cqt_chroma(each, sample_rate_hz) for each in (samples, reference))
    return chroma_correlation(made, true)
