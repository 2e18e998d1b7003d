"""The melody on its beats: what is sung in a beat stands in its slots, and a transposition only rolls it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from samuel_runtime.leadsheet.activations import FRAME_S, MOMENT_CHANNELS
from samuel_runtime.leadsheet.beat_melody import SLOTS, BeatMelody, beat_melody
from samuel_runtime.leadsheet.decoder.grid import BeatGrid
from samuel_runtime.leadsheet.sheet import Meter
from samuel_runtime.melody import MelodyTracks

BEAT_S = 0.5
SCALE = (60, 62, 64, 65, 67, 69, 71, 72)


def sung(semitones: int = 0, first_s: float = 0.0) -> MelodyTracks:
    """A scale, a note a beat, from ``first_s`` on."""
    frames = int((first_s + len(SCALE) * BEAT_S) / FRAME_S)
    beats = ((np.arange(frames) + 0.5) * FRAME_S - first_s) // BEAT_S
    midi = np.array(SCALE)[np.clip(beats.astype(int), 0, len(SCALE) - 1)] + semitones
    ones = np.ones(frames)
    return MelodyTracks(440 * 2 ** ((midi - 69) / 12), ones * (beats >= 0), -20 * ones, 0 * ones)


def grid(first_s: float = 0.0, beats: int = len(SCALE), opens: int = 0, meter: Meter = Meter.COMMON) -> BeatGrid:
    times_s = first_s + BEAT_S * np.arange(beats)
    return BeatGrid(meter, times_s, np.arange(beats) % meter.beats == opens, 1.0, 1.0)


def places(melody: BeatMelody) -> np.ndarray:
    """The beat of the bar of every slot."""
    return melody.moments[6:10].argmax(axis=0)


def test_what_is_sung_in_a_beat_stands_in_its_slots() -> None:
    melody = beat_melody(sung(), grid())
    for slot in range(2 * len(SCALE)):
        for half in (0, 1):
            assert melody.pitches[half, :, slot].argmax() == SCALE[slot // SLOTS] % 12
            assert melody.pitches[half, SCALE[slot // SLOTS] % 12, slot] > 0.8
    np.testing.assert_allclose(np.diff(melody.edges_s), BEAT_S / SLOTS)
    assert melody.moments.shape == (MOMENT_CHANNELS, len(melody.edges_s) - 1)


def test_halves_of_a_slot_and_heights_are_told_apart() -> None:
    half_as_fast = BeatGrid(Meter.COMMON, 4 * BEAT_S * np.arange(3), np.array([True, False, False]), 1.0, 1.0)
    melody = beat_melody(sung(), half_as_fast)
    for slot in range(4):
        first, second = SCALE[2 * slot] % 12, SCALE[2 * slot + 1] % 12
        assert melody.pitches[0, first, slot] > 0.8 > 0.2 > melody.pitches[1, first, slot]
        assert melody.pitches[1, second, slot] > 0.8 > 0.2 > melody.pitches[0, second, slot]
    assert melody.pitches[2, SCALE[1] % 12, 0] < 0 < melody.pitches[2, SCALE[-2] % 12, 3]


@pytest.mark.parametrize("semitones", [1, 7, 12])
def test_a_transposition_rolls_pitches_and_nothing_else(semitones: int) -> None:
    here, there = beat_melody(sung(), grid()), beat_melody(sung(semitones), grid())
    np.testing.assert_allclose(there.pitches, np.roll(here.pitches, semitones, axis=1), atol=1e-5)
    np.testing.assert_allclose(there.moments, here.moments, atol=1e-5)


def test_a_singer_a_third_of_a_semitone_sharp_is_heard_in_tune() -> None:
    sharp = sung()
    sharp = replace(sharp, f0_hz=sharp.f0_hz * 2 ** (0.33 / 12))
    np.testing.assert_allclose(beat_melody(sharp, grid()).pitches, beat_melody(sung(), grid()).pitches, atol=0.03)


def test_slots_reach_from_before_the_song_to_its_end_and_bars_go_on() -> None:
    melody = beat_melody(sung(first_s=1.2), grid(first_s=1.2, beats=4, opens=1))
    assert melody.edges_s[0] <= 0 and melody.edges_s[-1] >= 1.2 + len(SCALE) * BEAT_S - FRAME_S
    first = 3 * SLOTS
    assert melody.edges_s[first] == pytest.approx(1.2)
    assert places(melody)[:first:SLOTS].tolist() == [0, 1, 2]
    assert places(melody)[first::SLOTS].tolist() == [3, 0, 1, 2, 3, 0, 1, 2][: (len(places(melody)) - first) // SLOTS]


def test_without_bar_lines_no_beat_has_a_place() -> None:
    bare = grid()
    unknown = BeatGrid(bare.meter, bare.beats_s, np.zeros(len(bare.beats_s), bool), 1.0, 0.0)
    melody = beat_melody(sung(), unknown)
    assert not melody.moments[6:10].any() and melody.moments[10:12].sum() == melody.moments.shape[1]


def test_beats_that_nearly_coincide_do_not_fill_the_memory() -> None:
    close = BeatGrid(Meter.COMMON, np.array([2.0, 2.0 + 1e-9]), np.array([True, False]), 1.0, 1.0)
    assert beat_melody(sung(), close).moments.shape[1] < 200
