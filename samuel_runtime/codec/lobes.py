"""A partial's place in the spectrum: the main lobe of a Hann-windowed sine, as a polynomial in its deviation.

A sine of amplitude 1 and phase p at bin b has X[k] = W(k - b) exp(ip) + W(k + b) exp(-ip), where
W(x) = sinc(x) / (1 - x^2) is Hann's transform, normalised to 1 at its centre; the second term is the mirror image at
negative frequency, which overlaps the first where basses are. Within a semitone W is a polynomial of degree 5 to 7e-4
of the peak, so all partials of all frames become one product of matrices.
"""

from __future__ import annotations

import numpy as np

from samuel_runtime.codec.spectrum import (
    LOWEST_BIN,
    MOST_DEVIATION,
    PARTIALS,
    SAMPLE_RATE_HZ,
    SEMITONE_HZ,
    WINDOW_SAMPLES,
)

POWERS = 6
_FITTED_AT = 41
# Products this small stay on one thread. Those of a whole chunk wake OpenBLAS' threads, which go on spinning when the
# next graph wants the processor: decoding took 1.6 times as long.
_ROWS = 16


def hann_lobe(bins: np.ndarray) -> np.ndarray:
    """Transform of a Hann window so many bins from its centre."""
    at_one = np.isclose(np.abs(bins), 1.0)
    return np.where(at_one, 0.5, np.sinc(bins) / np.where(at_one, 1.0, 1 - np.square(bins)))


def _fitted() -> tuple[np.ndarray, np.ndarray]:
    deviation = np.linspace(-1, 1, _FITTED_AT)
    hz = SEMITONE_HZ * 2 ** (MOST_DEVIATION * deviation[:, None] / 12)
    centre = (hz * WINDOW_SAMPLES / SAMPLE_RATE_HZ)[..., None]  # (deviations, PARTIALS, 1)
    solve = np.linalg.pinv(np.vander(deviation, POWERS, increasing=True))
    bins = np.arange(LOWEST_BIN)
    lobes = (np.einsum("pd,dnk->pnk", solve, hann_lobe(bins + sign * centre)) for sign in (-1, 1))
    direct, mirrored = (each.reshape(POWERS * PARTIALS, LOWEST_BIN).astype(np.float32) for each in lobes)
    return direct, mirrored


DIRECT, MIRRORED = _fitted()
"""Of powers of the deviation and partials to bins, float32 (POWERS * PARTIALS, LOWEST_BIN) each."""
# What real and imaginary parts of an amplitude become: the mirror image is conjugate.
_IN_PHASE, _OUT_OF_PHASE = DIRECT + MIRRORED, DIRECT - MIRRORED


def powers(deviations: np.ndarray) -> np.ndarray:
    """Powers of the deviations (..., PARTIALS) in semitones, (..., POWERS, PARTIALS) float32."""
    unit = np.clip(deviations / MOST_DEVIATION, -1, 1).astype(np.float32)
    result = np.ones((*unit.shape[:-1], POWERS, PARTIALS), np.float32)
    for power in range(1, POWERS):
        np.multiply(result[..., power - 1, :], unit, out=result[..., power, :])
    return result


def low_bins(amplitudes: np.ndarray, deviation_powers: np.ndarray) -> np.ndarray:
    """Complex amplitudes (frames, PARTIALS) to the spectrum's lowest bins, complex64 (frames, LOWEST_BIN)."""
    result = np.empty((len(amplitudes), LOWEST_BIN), np.complex64)
    result.real = _summed(amplitudes.real, deviation_powers, _IN_PHASE)
    result.imag = _summed(amplitudes.imag, deviation_powers, _OUT_OF_PHASE)
    return result


def _summed(parts: np.ndarray, deviation_powers: np.ndarray, lobes: np.ndarray) -> np.ndarray:
    """Partials' lobes (frames, LOWEST_BIN), of amplitudes' real or imaginary parts (frames, PARTIALS)."""
    terms = (parts[:, None, :] * deviation_powers).reshape(len(parts), -1).astype(np.float32, copy=False)
    result = np.empty((len(parts), LOWEST_BIN), np.float32)
    for start in range(0, len(parts), _ROWS):
        np.matmul(terms[start : start + _ROWS], lobes, out=result[start : start + _ROWS])
    return result
