"""The lead sheet as channels by frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.leadsheet.raster import (
    BAR,
    BEAT,
    CHANNELS,
    KNOWN,
    KNOWN_BARS,
    KNOWN_BEATS,
    KNOWN_CHORDS,
    METER,
    ROOT,
    TONES,
    rasterised,
)
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet, Meter

FRAME_S = 2048 / 44100


def even_sheet(bpm: float = 120.0, first_s: float = 0.3, meter: Meter = Meter.COMMON, beats: int = 16) -> LeadSheet:
    times = tuple(first_s + 60 / bpm * index for index in range(beats))
    return LeadSheet(40.0, meter, None, times, times[:: meter.beats])


def phase(pair: np.ndarray) -> np.ndarray:
    """Of (2, frames) sine and cosine, 0 .. 1."""
    return np.arctan2(*pair) / (2 * np.pi) % 1


@pytest.mark.parametrize("meter", Meter)
def test_phases_run_evenly_from_the_first_frame_to_the_last(meter: Meter) -> None:
    raster = rasterised(even_sheet(meter=meter), 600, FRAME_S)
    beats = ((np.arange(600) + 0.5) * FRAME_S - 0.3) * 2
    np.testing.assert_allclose(raster[BEAT], [np.sin(2 * np.pi * beats), np.cos(2 * np.pi * beats)], atol=1e-5)
    bars = beats / meter.beats
    np.testing.assert_allclose(raster[BAR], [np.sin(2 * np.pi * bars), np.cos(2 * np.pi * bars)], atol=1e-5)
    assert raster[METER].sum(axis=0).tolist() == [1.0] * 600
    assert raster[METER][list(Meter).index(meter)].all()


def test_a_bar_that_is_too_long_turns_once() -> None:
    times = tuple(0.5 * index for index in range(14))
    raster = rasterised(LeadSheet(7.0, beats_s=times, downbeats_s=(0.0, 2.0, 4.5, 6.5)), 1400, 0.005)
    turns = np.flatnonzero(np.diff(phase(raster[BAR])) < -0.5)
    np.testing.assert_allclose((turns + 1) * 0.005, [2.0, 4.5, 6.5], atol=0.006)


def test_what_is_not_known_is_zero() -> None:
    assert not rasterised(LeadSheet(10.0), 50, FRAME_S).any()
    beats_alone = rasterised(LeadSheet(10.0, beats_s=(1.0, 2.0)), 50, FRAME_S)
    assert beats_alone[KNOWN_BEATS].all()
    assert not beats_alone[BAR.start : KNOWN_BEATS].any()
    assert not beats_alone[KNOWN_BARS].any()


def test_chords_begin_where_they_are_written() -> None:
    chords = (ChordSpan(1.0, "A:min7"), ChordSpan(2.0, "N"), ChordSpan(3.0, "X"))
    raster = rasterised(LeadSheet(4.0, chords=chords), 40, 0.1)
    tones = np.zeros(12)
    tones[[9, 0, 4, 7]] = 1
    np.testing.assert_array_equal(raster[TONES, 10:20], np.repeat(tones[:, None], 10, axis=1))
    np.testing.assert_array_equal(raster[ROOT, 10:20].argmax(axis=0), [9] * 10)
    assert not raster[TONES.start : KNOWN.start, 20:].any()
    assert raster[KNOWN_CHORDS].tolist() == [0.0] * 10 + [1.0] * 20 + [0.0] * 10


@given(bpm=st.floats(30, 300), shift=st.integers(0, 400))
def test_a_window_is_a_cut_of_the_whole(bpm: float, shift: int) -> None:
    """Windows of a long song see one grid."""
    raster = rasterised(even_sheet(bpm), 600, FRAME_S)
    assert raster.shape == (CHANNELS, 600)
    later = rasterised(even_sheet(bpm), 600 + shift, FRAME_S)
    np.testing.assert_array_equal(later[:, :600], raster)
