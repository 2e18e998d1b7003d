"""A song from a score says what the score says, in the singer's compass and at the band's tempo."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from samuel_runtime.leadsheet import Meter
from samuel_runtime.leadsheet.chords import Chord, Key
from samuel_train.data.annotations import lead_sheet
from samuel_train.synth.compose.styles import Section
from samuel_train.synth.facts import SongFacts
from samuel_train.synth.song import Composition, compose
from tests.support.train.miniature_scores import BARS, LATE_IN_BAR_3, TUNE

SEEDS = range(16)
DURATION_S = 30.0


def semitones_of(facts: SongFacts) -> int:
    """How much higher than C major, 0 .. 11."""
    assert facts.mode == "major"
    return Key.parse(facts.tonic).tonic


def sounding(facts: SongFacts, time_s: float) -> Chord:
    """The written chord, back in C major."""
    chord = Chord.parse([name for start_s, name in facts.chords if start_s <= time_s + 1e-4][-1])
    root, bass = (None if t is None else (t - semitones_of(facts)) % 12 for t in (chord.root, chord.bass))
    return replace(chord, root=root, bass=bass)


def bar_of(composition: Composition, midi: int) -> int:
    """Of the tune, by the pitch of its note; -1 of the pickup."""
    lowest = min(note for _, _, note in composition.facts.melody)
    assert (lowest - 59 - semitones_of(composition.facts)) % 12 == 0
    return midi - lowest - 1


@pytest.mark.parametrize("seed", SEEDS)
def test_melody_beats_bars_and_chords_are_those_of_the_score(seed: int) -> None:
    composition = compose(seed, DURATION_S, 0.0, TUNE)
    facts = composition.facts
    beat_s = 60 / facts.tempo_bpm
    assert facts.meter == "4/4" and TUNE.tempo_bpm[0] <= facts.tempo_bpm <= TUNE.tempo_bpm[1]
    assert np.allclose(np.diff(facts.beats_s), beat_s, atol=1e-5)
    assert np.allclose(np.diff(facts.downbeats_s), 4 * beat_s, atol=1e-5)
    bars = []
    for start_s, held_s, midi in facts.melody:
        bar = bar_of(composition, midi)
        bars.append(bar)
        if start_s < 0:
            continue
        if bar == -1:
            assert held_s == pytest.approx(beat_s, abs=1e-5)
            continue
        swung = composition.plan.style.swing * beat_s
        assert held_s == pytest.approx(2.5 * beat_s + swung, abs=1e-5)
        assert np.abs(np.array(facts.downbeats_s) - start_s).min() < 1e-5
        assert sounding(facts, start_s).named() == BARS[bar]
        if bar == 3 and start_s + 3 * beat_s < DURATION_S:
            assert sounding(facts, start_s + 2.9 * beat_s).named() == BARS[3]
            assert sounding(facts, start_s + 3 * beat_s) == Chord.parse(LATE_IN_BAR_3)
    assert all(after == before + 1 or (before == 7 and after in (-1, 0)) for before, after in pairwise(bars))


@pytest.mark.parametrize("seed", SEEDS)
def test_melody_lies_within_the_singers_compass(seed: int) -> None:
    composition = compose(seed, DURATION_S, 0.0, TUNE)
    singer, pitches = composition.singer, [midi for _, _, midi in composition.facts.melody]
    assert singer.lowest <= min(pitches) <= max(pitches) <= singer.highest
    assert {note.midi for note in composition.notes} == set(pitches)


def test_a_melody_that_is_too_wide_lies_in_the_middle() -> None:
    wide = replace(TUNE, notes=(*TUNE.notes[:-1], (28.0, 30.5, 59 + 25)))
    composition = compose(0, 60.0, 0.0, wide)
    pitches = [midi for _, _, midi in composition.facts.melody]
    below, above = composition.singer.lowest - min(pitches), max(pitches) - composition.singer.highest
    assert below + above == 25 - 17 and abs(below - above) <= 1


def test_keys_styles_tempos_and_excerpts_are_drawn() -> None:
    compositions = [compose(seed, 8.0, 0.0, TUNE) for seed in range(40)]
    assert len({composition.facts.tonic for composition in compositions}) >= 10
    assert len({composition.facts.style for composition in compositions}) >= 7
    assert len({(composition.facts.tempo_bpm, composition.plan.start_s) for composition in compositions}) == 40
    assert {bar.section for composition in compositions for bar in composition.plan.bars} == set(Section) - {
        Section.BRIDGE
    }


def test_composing_repeats_with_the_seed_and_the_score() -> None:
    first, second = compose(7, 8.0, 0.0, TUNE), compose(7, 8.0, 0.0, TUNE)
    assert (first.facts, first.tracks, first.notes) == (second.facts, second.tracks, second.notes)
    assert compose(8, 8.0, 0.0, TUNE).facts != first.facts
    assert compose(7, 8.0).facts != first.facts


@pytest.mark.parametrize(
    ("meter", "beat_quarters", "beats"),
    [(Meter.COMMON, 1.5, 4), (Meter.WALTZ, 1.0, 3), (Meter.WALTZ, 1.5, 3), (Meter.SIX_EIGHT, 1.5, 2)],
)
def test_scores_of_all_meters_find_a_band(meter: Meter, beat_quarters: float, beats: int) -> None:
    bar = beats * beat_quarters
    notes = tuple((bar * index, bar * index + 2 * beat_quarters, 60 + index) for index in range(8))
    chords = tuple((bar * index, name) for index, name in enumerate(BARS))
    score = replace(TUNE, meter=meter, beat_quarters=beat_quarters, notes=notes, chords=chords)
    score = replace(score, downbeats=tuple(bar * index for index in range(8)))
    for seed in range(12):
        facts = compose(seed, 12.0, 0.0, score).facts
        assert facts.meter == meter.value
        assert score.tempo_bpm[0] <= facts.tempo_bpm <= score.tempo_bpm[1]
        assert np.allclose(np.diff(facts.downbeats_s), beats * 60 / facts.tempo_bpm, atol=1e-5)
        starts_s = np.array([start_s for start_s, _, _ in facts.melody if start_s >= 0])
        assert all(np.abs(np.array(facts.downbeats_s) - start_s).min() < 1e-5 for start_s in starts_s)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pickup_cuts_off_what_sounds_before_it(seed: int) -> None:
    held = replace(TUNE, notes=(*TUNE.notes[:-1], (28.0, 32.0, 67)))
    facts = compose(seed, 60.0, 0.0, held).facts
    ends_s = [start_s + held_s for start_s, held_s, _ in facts.melody]
    assert all(end_s <= start_s + 1e-5 for end_s, (start_s, _, _) in zip(ends_s, facts.melody[1:], strict=False))
    lowest = min(midi for _, _, midi in facts.melody)
    pickups = [start_s for start_s, _, midi in facts.melody if midi == lowest and start_s > 0]
    before_s = 60 / facts.tempo_bpm
    assert pickups
    assert all(np.abs(np.array(facts.downbeats_s) - start_s - before_s).min() < 1e-5 for start_s in pickups[:-1])


@pytest.mark.parametrize("seed", SEEDS)
def test_band_plays_the_bass_and_rests_where_there_is_no_chord(seed: int) -> None:
    composition = compose(seed, DURATION_S, 0.0, TUNE)
    plan, facts = composition.plan, composition.facts
    drums, bass, *others = composition.tracks
    silences = [index for index, bar in enumerate(plan.bars) if bar.chord_at(0).name(plan.key) == "N"]
    assert silences
    for index in silences:
        start_s, end_s = plan.step_s(index, 0) + 0.03, plan.step_s(index, 16) - 0.03
        assert not [hit for track in (bass, *others) for hit in track.hits if start_s < hit.start_s < end_s]
        if plan.bars[index].visit:  # drums may wait for the first verse to end
            assert [hit for hit in drums.hits if start_s < hit.start_s < end_s]
    inverted = [index for index, bar in enumerate(plan.bars) if "/" in bar.chord_at(0).name(plan.key)]
    first = [
        (hit.midi - semitones_of(facts)) % 12
        for index in inverted
        for hit in bass.hits
        if abs(hit.start_s - plan.step_s(index, 0)) < 0.012
    ]
    assert set(first) == {7, 4} or (not first and plan.style.name == "dance")  # G under Am7, E under C6
    for track in others:
        for hit in track.hits:
            beats = (hit.start_s + 0.02 - plan.start_s) / plan.beat_s
            bar = plan.bars[min(max(int(beats // 4), 0), len(plan.bars) - 1)]
            chord = bar.chord_at(beats % 4 * 4)
            assert hit.midi % 12 in {*chord.pitch_classes, chord.lowest, (chord.root + 7) % 12}


def test_lead_sheets_of_such_songs_move_with_their_basses() -> None:
    facts = compose(3, DURATION_S, 0.0, TUNE).facts
    up = [Chord.parse(chord.name) for chord in lead_sheet(facts, 2 * DURATION_S, semitones=3).chords]
    for (_, name), moved in zip(facts.chords, up, strict=True):
        written = Chord.parse(name)
        for tone, higher in ((written.root, moved.root), (written.bass, moved.bass)):
            assert higher == (None if tone is None else (tone + 3) % 12)
        assert moved.quality == written.quality
