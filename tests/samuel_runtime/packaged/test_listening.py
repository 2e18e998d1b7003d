"""What the packaged bundle hears: the same chords in every key, and most of those that are true."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_chord_estimator, open_estimator
from samuel_runtime.leadsheet.activations import HARMONY_SIZES
from samuel_runtime.leadsheet.chord_estimator import ChordEstimator
from samuel_runtime.leadsheet.decoder import decode
from samuel_runtime.leadsheet.decoder.grid import BeatGrid
from samuel_runtime.leadsheet.estimator import Estimator
from samuel_runtime.settings import Precision, Provider
from samuel_train.listen.sheet_scores import mean_scores, sheet_scores
from samuel_train.listen.songs.drawn_songs import HELD_OUT_SEED, DrawnSongs

ON_CPU = Backend(Provider.CPU, Precision.FP32)
SONGS = 8


@pytest.fixture(scope="module")
def ears() -> tuple[Estimator, ChordEstimator]:
    bundle = Bundle.open()
    chord_estimator = open_chord_estimator(bundle, ON_CPU, 1)
    assert chord_estimator is not None
    return open_estimator(bundle, ON_CPU, 1), chord_estimator


@pytest.mark.parametrize("semitones", [1, -5])
def test_a_song_in_another_key_has_its_chords_there(semitones: int, ears: tuple[Estimator, ChordEstimator]) -> None:
    estimator, chord_estimator = ears
    tracks, sheet = DrawnSongs(HELD_OUT_SEED)[0]
    beats_s = np.array(sheet.beats_s)
    grid = BeatGrid(sheet.meter, beats_s, np.isin(beats_s, sheet.downbeats_s), 1.0, 1.0)
    moved = replace(tracks, f0_hz=tracks.f0_hz * 2 ** (semitones / 12))
    activations = estimator.estimate(tracks)
    here, there = (chord_estimator.estimate(each, grid, activations) for each in (tracks, moved))
    for name in HARMONY_SIZES:
        by_pitch = getattr(here, name).reshape(tracks.frames, -1, 12)  # keys: of major, of minor
        expected = np.roll(by_pitch, semitones, axis=2).reshape(tracks.frames, -1)
        np.testing.assert_allclose(getattr(there, name), expected, atol=1e-3)
        assert np.abs(expected - getattr(here, name)).max() > 0.1


def test_most_of_a_melodys_chords_are_heard(ears: tuple[Estimator, ChordEstimator]) -> None:
    estimator, chord_estimator = ears
    scores = []
    for number in range(SONGS):
        tracks, sheet = DrawnSongs(HELD_OUT_SEED)[number]
        on_beats = partial(chord_estimator.estimate, tracks)
        scores.append(sheet_scores(decode(estimator.estimate(tracks), sheet.duration_s, None, on_beats), sheet))
    mean = mean_scores(scores)
    assert mean.beat_f > 0.9 and mean.root > 0.55 and mean.key > 0.8, mean
