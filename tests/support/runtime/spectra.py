"""Spectra for tests: silence with what a test adds to it, or something of everything."""

from __future__ import annotations

import numpy as np

from samuel_runtime.codec.spectrum import SPECTRUM_WIDTHS, Spectrum

SILENT = -20.0


def silence(frames: int, **changed: np.ndarray) -> Spectrum:
    """No sound but for the named fields."""
    values = {name: np.zeros((frames, width), np.float32) for name, width in SPECTRUM_WIDTHS.items()}
    for name in ("partial_levels", "mid_levels", "side_levels"):
        values[name] += SILENT
    return Spectrum(**{**values, **changed})


def anything(frames: int, seed: int = 0) -> Spectrum:
    """Random predictions of a band's size."""
    rng = np.random.default_rng(seed)
    bounds = {
        "partial_levels": (-8, -3), "partial_deviations": (-0.6, 0.6), "partial_pans": (-1, 1), "mid_levels": (-9, -5),
        "side_levels": (-10, -6), "coherences": (-1, 1), "bin_deviations": (-0.5, 0.5), "bin_spreads": (-4, 1),
        "envelope": (-1, 0.5),
    }  # fmt: skip
    drawn = {name: rng.uniform(*bounds[name], (frames, width)) for name, width in SPECTRUM_WIDTHS.items()}
    return Spectrum(**{name: value.astype(np.float32) for name, value in drawn.items()})
