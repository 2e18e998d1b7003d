"""Chords are read off an accompaniment as they were written for it."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.leadsheet.chords import Chord
from samuel_train.synth.compose.score import Track
from samuel_train.synth.scores.accompaniment import Note, read_chords
from samuel_train.synth.song import compose

DURATION_S = 47.55
BAR = (0.0, 1.0, 2.0, 3.0)
TWO_BARS = tuple(map(float, range(8)))


def notes_of(tracks: tuple[Track, ...]) -> list[Note]:
    hits = [hit for track in tracks if not track.drums for hit in track.hits]
    return [(hit.start_s, hit.start_s + hit.duration_s, hit.midi) for hit in hits]


@pytest.mark.parametrize("seed", range(4))
def test_bands_that_were_arranged_from_chords_have_them(seed: int) -> None:
    song = compose(seed, DURATION_S)
    beats = [beat for beat in song.facts.beats_s if beat < DURATION_S]
    found = read_chords(notes_of(song.tracks), beats, song.facts.bars_s)

    def at(chords: list[tuple[float, str]], time: float) -> Chord:
        return Chord.parse(max(chord for chord in chords if chord[0] <= time + 1e-3)[1])

    times = np.arange(beats[0], beats[-1], 0.2)
    right = [at(found, time).root == at(list(song.facts.chords), time).root for time in times]
    assert np.mean(right) > 0.9


def test_broken_chords_are_one_and_passing_notes_are_none() -> None:
    broken = [(eighth / 2, eighth / 2 + 0.5, midi) for eighth, midi in enumerate([48, 55, 52, 55, 60, 57, 52, 55])]
    assert read_chords(broken, BAR, [0.0]) == [(0.0, "C:maj")]


def test_the_bass_of_a_broken_chord_is_that_of_its_bar() -> None:
    # One note a beat, of which each but the first might be the root of another chord.
    waltz = [(float(beat), beat + 1.0, midi) for beat, midi in enumerate([43, 59, 62, 65, 48, 64, 67, 64])]
    assert read_chords(waltz, TWO_BARS, [0.0, 4.0]) == [(0.0, "G:7"), (4.0, "C:maj")]


def test_of_two_chords_that_share_what_sounds_the_bass_decides() -> None:
    third = [(0.0, 4.0, midi) for midi in (57, 60)]  # of A minor and of F major
    assert read_chords(third, BAR, [0.0]) == [(0.0, "A:min")]
    assert read_chords([*third, (0.0, 4.0, 41)], BAR, [0.0]) == [(0.0, "F:maj")]


def test_rests_have_none_but_at_the_end() -> None:
    c, g = [(1.0, 4.0, midi) for midi in (48, 52, 55)], [(6.0, 7.0, midi) for midi in (43, 47, 50)]
    heard = read_chords(c + g, TWO_BARS, [0.0, 4.0])
    assert heard == [(0.0, "N"), (1.0, "C:maj"), (4.0, "N"), (6.0, "G:maj")]


def test_an_accompaniment_that_is_silent_has_none() -> None:
    assert read_chords([], BAR, [0.0]) == []
