"""Peaks are rounded off, and nothing else."""

from __future__ import annotations

import numpy as np

from samuel_runtime.audio.peaks import with_peaks_below

SOUND = (0.3 * np.random.default_rng(4).normal(size=(20_000, 2))).astype(np.float32)
SOUND[5000] = (3.5, -1.75)
SOUND[9000] = (-0.9, 0.2)
CEILING = 1.4


def test_no_peak_reaches_the_ceiling_and_louder_stays_louder() -> None:
    rounded = np.abs(with_peaks_below(SOUND, CEILING)).max(axis=1)
    loudest = np.abs(SOUND).max(axis=1)
    assert rounded.max() <= CEILING and rounded.argmax() == loudest.argmax() == 5000
    order = np.argsort(loudest)
    assert (np.diff(rounded[order]) >= 0).all()


def test_what_is_below_the_knee_stays_to_the_bit_and_what_is_above_keeps_its_place() -> None:
    rounded = with_peaks_below(SOUND, CEILING)
    assert rounded.dtype == np.float32
    below = np.abs(SOUND).max(axis=1) <= 0.6 * CEILING
    np.testing.assert_array_equal(rounded[below], SOUND[below])
    np.testing.assert_allclose(rounded[5000, 1] / rounded[5000, 0], -0.5, rtol=1e-6)
    assert 0.6 * CEILING < -rounded[9000, 0] < 0.9


def test_blocks_become_what_the_whole_does() -> None:
    blocks = [with_peaks_below(SOUND[start : start + 777], CEILING) for start in range(0, len(SOUND), 777)]
    np.testing.assert_array_equal(np.concatenate(blocks), with_peaks_below(SOUND, CEILING))


def test_without_a_ceiling_the_very_samples_are_given_back() -> None:
    assert with_peaks_below(SOUND, None) is SOUND
