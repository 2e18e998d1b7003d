"""What is written about a song, which is what evaluation reads."""

from __future__ import annotations

import json

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_train.synth.facts import SongFacts
from samuel_train.synth.song import compose

SEEDS = range(10)


@pytest.mark.parametrize("seed", SEEDS)
def test_beats_run_at_the_tempo_and_fill_the_song(seed: int) -> None:
    facts = compose(seed, 16.0).facts
    beat_s = 60 / facts.tempo_bpm
    assert np.allclose(np.diff(facts.beats_s), beat_s, atol=1e-5)
    assert 0 <= facts.beats_s[0] < beat_s
    assert 16.0 - facts.beats_s[-1] <= beat_s + 1e-6
    assert set(facts.downbeats_s) <= set(facts.beats_s)
    beats = {"4/4": 4, "3/4": 3, "6/8": 2}[facts.meter]
    assert np.allclose(np.diff(facts.downbeats_s), beats * beat_s, atol=1e-5)
    assert facts.chords[0][0] == facts.sections[0][0] == 0
    assert [start_s for start_s, _ in facts.chords] == sorted(start_s for start_s, _ in facts.chords)


@pytest.mark.parametrize("seed", SEEDS)
def test_half_bars_begin_with_the_first_bar_and_chords_change_with_them(seed: int) -> None:
    facts = compose(seed, 30.0).facts
    assert facts.half_bars_s[0] == facts.downbeats_s[0]
    assert set(facts.downbeats_s) <= set(facts.half_bars_s)
    if facts.meter != "3/4":
        changes = [start_s for start_s, _ in facts.chords if start_s >= facts.half_bars_s[0]]
        assert all(np.min(np.abs(np.array(facts.half_bars_s) - start_s)) < 1e-5 for start_s in changes)


def test_composing_repeats_with_the_seed_and_needs_no_tools() -> None:
    first, second, other = compose(7, 8.0), compose(7, 8.0), compose(8, 8.0)
    assert first.facts == second.facts
    assert first.tracks == second.tracks
    assert first.notes == second.notes
    assert first.facts != other.facts


def test_facts_round_trip_through_json() -> None:
    facts = compose(0, 16.0).facts
    assert SongFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts


def test_facts_of_the_first_version_are_read() -> None:
    values = compose(0, 16.0).facts.to_dict()
    kept = ("tonic", "mode", "tempo_bpm", "style", "beats_s", "chords", "melody")
    facts = SongFacts.from_dict({key: values[key] for key in kept})
    assert facts.meter == "4/4"
    assert facts.half_bars_s == facts.beats_s[::2]


def test_facts_with_an_unknown_or_missing_key_are_refused() -> None:
    values = compose(0, 16.0).facts.to_dict()
    with pytest.raises(UserError, match="colour"):
        SongFacts.from_dict({**values, "colour": "blue"})
    del values["tonic"]
    with pytest.raises(UserError, match="tonic"):
        SongFacts.from_dict(values)


@pytest.mark.parametrize("melody", [3, [[1.0, 2.0]], [["a", "b", "c"]]])
def test_facts_with_a_broken_list_are_refused(melody: object) -> None:
    with pytest.raises(UserError, match="list"):
        SongFacts.from_dict({**compose(0, 16.0).facts.to_dict(), "melody": melody})


@pytest.mark.parametrize(("seed", "duration_s"), [(-1, 4.0), (0, 0.5), (0, float("nan")), (0, 1e9)])
def test_impossible_songs_are_refused(seed: int, duration_s: float) -> None:
    with pytest.raises(UserError):
        compose(seed, duration_s)
