"""How alike two collections of recordings sound: the Fréchet distance between their log-mel patches.

A patch is 22 frames (0.51 s) of 64 mel bands from 40 Hz to 16 kHz; windows of 46 ms every 23 ms; natural logarithm of
the root of the channels' mean power (full-scale sine 1, floor -80 dB). Its orthonormal two-dimensional cosine transform
is cut to 16 coefficients along the bands and 6 along time, which keeps spectral shape, and onsets down to about 80 ms.
The 16 leading principal components of the true recordings' patches (95 % of the variance of procedural songs), each
scaled to unit variance there, are the space in which both collections are taken for Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass

import librosa
import numpy as np

from samuel_train.evaluate.spectra import magnitude

_WINDOW_S, _HOP_S = 2048 / 44_100, 1024 / 44_100
_BANDS, _LOWEST_HZ, _HIGHEST_HZ = 64, 40.0, 16_000.0
_FLOOR = 1e-4
_PATCH_FRAMES = 22
_KEPT_BANDS, _KEPT_FRAMES = 16, 6
_COMPONENTS = 16
_LEAST_VARIANCE = 1e-6


def patches(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Cosine coefficients of the consecutive patches of (samples, channels), float64 (patches, 96)."""
    window, hop = round(_WINDOW_S * sample_rate_hz), round(_HOP_S * sample_rate_hz)
    spectrum = magnitude(samples.T, window, hop) / (window / 4)  # a Hann window sums to window / 2
    highest_hz = min(_HIGHEST_HZ, sample_rate_hz / 2)
    bank = librosa.filters.mel(
        sr=sample_rate_hz, n_fft=window, n_mels=_BANDS, fmin=_LOWEST_HZ, fmax=highest_hz, norm=None
    )
    mel = np.log(np.maximum(bank @ spectrum, _FLOOR))  # (bands, frames)
    count = mel.shape[1] // _PATCH_FRAMES
    cut = mel[:, : count * _PATCH_FRAMES].reshape(_BANDS, count, _PATCH_FRAMES)
    along_bands, along_time = _cosines(_KEPT_BANDS, _BANDS), _cosines(_KEPT_FRAMES, _PATCH_FRAMES)
    coefficients = np.einsum("kb,bpf,lf->pkl", along_bands, cut, along_time, optimize=True)
    return coefficients.reshape(count, _KEPT_BANDS * _KEPT_FRAMES)  # (patches, 16, 6) -> (patches, 96)


def frechet_distance(
    mean: np.ndarray, covariance: np.ndarray, other: np.ndarray, other_covariance: np.ndarray
) -> float:
    """Squared distance between two Gaussians: |m - n|^2 + tr(C + D - 2 (C D)^1/2), Dowson and Landau (1982).

    Args:
        mean: (d,) of the first.
        covariance: (d, d) of the first.
        other: mean (d,) of the second.
        other_covariance: (d, d) of the second.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # (C D)^1/2 has the trace of the symmetric (C^1/2 D C^1/2)^1/2.
    cross = np.sqrt(np.linalg.eigvalsh(root @ other_covariance @ root).clip(0)).sum()
    distance = np.sum((mean - other) ** 2) + np.trace(covariance) + np.trace(other_covariance) - 2 * cross
    return max(float(distance), 0.0)  # rounding takes equal ones below zero


@dataclass(frozen=True, eq=False)
class PatchSpace:
    """Principal components of the true recordings' patches, and the truth as a Gaussian among them."""

    centre: np.ndarray
    """(96,) mean of the true patches."""
    axes: np.ndarray
    """(96, components): a patch minus the centre, times this, has unit variance over the true patches."""
    mean: np.ndarray
    """(components,) of the true patches here."""
    covariance: np.ndarray
    """(components, components) of the true patches here."""

    @classmethod
    def fit(cls, true_patches: np.ndarray) -> PatchSpace:
        """The space of (patches, 96) true patches; with fewer than 16 directions in them, of those there are."""
        centre = true_patches.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(true_patches, rowvar=False))
        leading = np.argsort(values)[::-1][:_COMPONENTS]
        leading = leading[values[leading] > _LEAST_VARIANCE * max(values.max(), _LEAST_VARIANCE)]
        axes = vectors[:, leading] / np.sqrt(values[leading])
        return cls(centre, axes, *_gaussian((true_patches - centre) @ axes))

    def distance(self, generated: np.ndarray) -> float:
        """Fréchet distance of (patches, 96), at least two of them, to the truth; 0 is the same distribution."""
        return frechet_distance(self.mean, self.covariance, *_gaussian((generated - self.centre) @ self.axes))


def _gaussian(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d) of (points, d)."""
    return points.mean(axis=0), np.atleast_2d(np.cov(points, rowvar=False))


def _cosines(kept: int, length: int) -> np.ndarray:
    """The first ``kept`` rows of the orthonormal cosine transform (type II), (kept, length)."""
    orders = np.arange(kept)[:, None]
    rows = np.cos(np.pi / length * (np.arange(length) + 0.5) * orders) * np.sqrt(2 / length)
    return np.where(orders == 0, rows / np.sqrt(2), rows)
