"""Examples of the chords' estimator: the truth stands where its slots do, and grids err as they should."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.leadsheet import LeadSheet, Meter
from samuel_runtime.leadsheet.chords import Chord
from samuel_runtime.melody import MelodyTracks
from samuel_train.listen.chord_estimator.examples import CROPS, drawn_batch, drawn_example, whole_batch
from samuel_train.listen.chord_estimator.grids import drawn_grid
from samuel_train.listen.songs.drawn_songs import DrawnSongs
from samuel_train.listen.songs.targets import UNKNOWN
from tests.support.heard import even_sheet


def song(number: int = 0) -> tuple[MelodyTracks, LeadSheet]:
    return DrawnSongs(5)[number]


def test_every_slot_has_the_chord_that_sounds_in_its_middle() -> None:
    tracks, sheet = song()
    example = drawn_example(np.random.default_rng(0), tracks, sheet)
    assert example is not None
    edges_s = example.melody.edges_s
    for index, middle_s in enumerate((edges_s[1:] + edges_s[:-1]) / 2):
        inside = 0 <= middle_s <= sheet.duration_s
        chord = Chord.parse(sheet.chord_at(middle_s)) if inside else None
        root = UNKNOWN if chord is None or chord.root is None else chord.root
        assert example.root[index] == root
        assert example.chord_known[index] == (chord is not None and chord.known)
        tones = chord.pitch_classes if chord is not None and chord.known else ()
        assert set(np.flatnonzero(example.tones[:, index])) == set(tones)


def test_what_lies_beyond_a_song_is_not_known() -> None:
    examples = [drawn_example(np.random.default_rng(0), *song(number)) for number in range(2)]
    given = [example for example in examples if example is not None]
    batch = whole_batch(given)
    longest = max(len(example.root) for example in given)
    assert batch.pitches.shape == (2, 3, 12, longest)
    for row, example in enumerate(given):
        assert (batch.root[row, len(example.root) :] == UNKNOWN).all()
        assert not batch.chord_known[row, len(example.root) :].any()
    crops = drawn_batch(given, np.random.default_rng(1), 8 * max(CROPS))
    assert crops.root.shape[0] * crops.root.shape[1] == pytest.approx(max(CROPS), rel=0.34)


def test_a_song_without_beats_is_no_example() -> None:
    tracks, sheet = song()
    silent = LeadSheet(sheet.duration_s, beats_s=sheet.beats_s[:3])
    assert drawn_example(np.random.default_rng(0), tracks, silent) is None


def test_grids_err_as_often_and_as_much_as_they_say() -> None:
    sheet = even_sheet(120.0, 60.0, meter=Meter.COMMON)
    true_s = np.array(sheet.beats_s)
    grids = [drawn_grid(np.random.default_rng(seed), sheet) for seed in range(400)]
    counts = np.array([len(grid.beats_s) for grid in grids])
    assert np.mean(counts < len(true_s)) == pytest.approx(0.04, abs=0.03)
    assert np.mean(counts > len(true_s)) == pytest.approx(0.04, abs=0.03)
    same = [grid for grid in grids if len(grid.beats_s) == len(true_s)]
    wrong = np.concatenate([grid.beats_s - true_s for grid in same])
    assert 0.01 < wrong.std() < 0.02 and abs(wrong.mean()) < 0.003
    moved = np.mean([not np.array_equal(true_s[grid.downbeats], sheet.downbeats_s) for grid in same])
    assert moved == pytest.approx(0.15, abs=0.06)
    assert all((np.diff(grid.beats_s) >= 0).all() for grid in grids)
    doubled = [grid for grid in grids if len(grid.beats_s) > len(true_s)]
    with_their_bars = [
        grid
        for grid in doubled
        if np.abs(grid.beats_s[grid.downbeats][:5] - np.array(sheet.downbeats_s)[:5]).max() < 0.1
    ]
    assert len(with_their_bars) > 0.5 * len(doubled) > 0
