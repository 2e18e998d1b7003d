"""The band's score: who plays what, where; and its MIDI file."""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
import pytest

from samuel_train.synth.band.arrangement import arrange
from samuel_train.synth.band.midi import PREROLL_S, write_midi
from samuel_train.synth.band.voicings import voice_chord
from samuel_train.synth.compose.form import Plan, plan_song
from samuel_train.synth.compose.score import Hit, Track, instruments
from samuel_train.synth.compose.styles import Drum, Section, Voicing
from samuel_train.synth.compose.theory import Chord

SEEDS = range(16)


def band(seed: int, duration_s: float = 30.0) -> tuple[Plan, tuple[Track, ...]]:
    rng = np.random.default_rng(seed)
    plan = plan_song(rng, duration_s)
    return plan, arrange(rng, plan)


@pytest.mark.parametrize("seed", SEEDS)
def test_band_has_drums_bass_and_one_to_three_chord_instruments(seed: int) -> None:
    _, tracks = band(seed)
    assert [track.name for track in tracks[:2]] == ["drums", "bass"]
    assert 1 <= len(tracks) - 2 <= 3
    assert [track.drums for track in tracks] == [True] + [False] * (len(tracks) - 1)
    assert len(instruments(tracks)) == len(tracks)


@pytest.mark.parametrize("seed", SEEDS)
def test_bass_begins_bars_on_the_root(seed: int) -> None:
    plan, tracks = band(seed)
    bass = next(track for track in tracks if track.name == "bass")
    roots = [(plan.step_s(index, 0), bar.chord_at(0).root) for index, bar in enumerate(plan.bars)]
    downbeats = [(hit, root) for hit in bass.hits for time_s, root in roots if abs(hit.start_s - time_s) < 0.012]
    assert all(hit.midi % 12 == root for hit, root in downbeats)
    assert downbeats or plan.style.name == "dance"  # dance bass may wait for the off-beat


@pytest.mark.parametrize("seed", SEEDS)
def test_chord_instruments_play_the_chords(seed: int) -> None:
    plan, tracks = band(seed)
    for track in tracks[2:]:
        for hit in track.hits:
            beats = (hit.start_s + 0.02 - plan.start_s) / plan.beat_s
            bar = plan.bars[min(int(beats // plan.meter.beats), len(plan.bars) - 1)]
            chord = bar.chord_at(beats % plan.meter.beats * plan.meter.steps_per_beat)
            allowed = {*chord.pitch_classes, (chord.root + 7) % 12}
            assert hit.midi % 12 in allowed


def test_new_sections_are_led_into_by_fills_and_begin_with_a_crash() -> None:
    plan, tracks = band(2)
    hits = tracks[0].hits
    starts = [
        index
        for index, bar in enumerate(plan.bars)
        if index and bar.section is Section.CHORUS and plan.bars[index - 1].section is not Section.CHORUS
    ]
    assert starts
    for index in starts:
        begin_s = plan.step_s(index, 0)
        fill_s = begin_s - 4 * plan.beat_s / plan.meter.steps_per_beat
        last_beat = [hit for hit in hits if fill_s - 0.01 < hit.start_s < begin_s - 0.01]
        assert len({round(hit.start_s, 1) for hit in last_beat}) >= 3
        assert any(hit.midi == Drum.CRASH and abs(hit.start_s - begin_s) < 0.02 for hit in hits)


@pytest.mark.parametrize("voicing", list(Voicing))
@pytest.mark.parametrize("name", ["C", "F#m7", "Bdim", "G7"])
def test_voicings_are_the_chord_within_reach(voicing: Voicing, name: str) -> None:
    chord = Chord.from_name(name)
    notes = voice_chord(chord, voicing, ())
    assert list(notes) == sorted(set(notes))
    assert notes[0] >= 40
    assert notes[-1] <= 88
    if voicing is not Voicing.POWER:
        assert {note % 12 for note in notes} <= set(chord.pitch_classes)
    assert voice_chord(chord, voicing, notes)[-1] == pytest.approx(notes[-1], abs=5)


@pytest.mark.parametrize("name", ["C", "F#m7", "Bdim", "G7"])
def test_hands_that_move_little_are_the_nearest_there_are(name: str) -> None:
    """Of every four neighbouring chord tones from D sharp 3 to D sharp 4 upwards."""
    chord = Chord.from_name(name)
    for previous in ((55, 60, 64, 67), (64, 69, 72, 76), (50, 53, 57, 60)):
        centre = 0.7 * np.mean(previous) + 0.3 * 61
        tones = [midi for midi in range(51, 82) if midi % 12 in chord.pitch_classes]
        layouts = [tones[start : start + 4] for start, lowest in enumerate(tones) if lowest <= 63]
        nearest = min(abs(np.mean([midi for midi in notes if midi < notes[0] + 18]) - centre) for notes in layouts)
        assert abs(np.mean(voice_chord(chord, Voicing.CLOSE, previous)) - centre) == pytest.approx(nearest)


@pytest.mark.parametrize("seed", [0, 1])
def test_nobody_plays_exactly_in_time_nor_always_as_loud(seed: int) -> None:
    plan, tracks = band(seed)
    steps_s = [plan.step_s(bar, step) for bar in range(len(plan.bars)) for step in range(plan.meter.steps)]
    for hits in (track.hits for track in tracks):
        assert len({hit.loudness for hit in hits}) > 0.9 * len(hits)
        late_s = [min(abs(hit.start_s - step_s) for step_s in steps_s) for hit in hits]
        assert np.mean(np.array(late_s) > 1e-6) > 0.9


@pytest.mark.parametrize(
    ("name", "voicing", "tones"),
    [
        ("C9", Voicing.CLOSE, {0, 4, 10, 2}),  # without its fifth
        ("C9", Voicing.HANDS, {0, 4, 10, 2}),
        ("C9", Voicing.STRUMMED, {0, 4, 10, 2}),
        ("C6", Voicing.CLOSE, {0, 4, 7, 9}),
        ("Cdim7", Voicing.CLOSE, {0, 3, 6, 9}),
        ("Caug", Voicing.POWER, {0, 8}),
        ("C5", Voicing.CLOSE, {0, 7}),
        ("C/D", Voicing.HANDS, {0, 2, 4, 7}),
    ],
)
def test_rich_chords_keep_their_colour(name: str, voicing: Voicing, tones: set[int]) -> None:
    for previous in ((), (40, 55, 60, 64, 67), (45, 64, 69, 72)):
        notes = voice_chord(Chord.from_name(name), voicing, previous)
        assert {note % 12 for note in notes} == tones
        if voicing is Voicing.HANDS:
            assert notes[0] % 12 == Chord.from_name(name).lowest


def test_midi_file_holds_what_sounds_in_the_excerpt(tmp_path: Path) -> None:
    hits = (
        Hit(-10.0, 1.0, 60, 1.0),  # long over
        Hit(-4.0, 6.0, 62, 1.0),  # sounds into it, from before the file
        Hit(1.0, 0.5, 64, 0.5),
        Hit(1.2, 0.5, 64, 0.5),  # struck again while it is held
        Hit(9.0, 1.0, 65, 1.0),  # too late
    )
    write_midi(tmp_path / "a.mid", [Track("chords-1", 4, False, 0.0, -1.0, 0.5, hits)], 8.0)
    time_s, sounding = 0.0, []
    held: dict[int, float] = {}
    programs = []
    for message in mido.MidiFile(tmp_path / "a.mid"):
        time_s += message.time
        if message.type == "program_change":
            programs.append(message.program)
        if message.type == "note_on":
            assert message.note not in held
            held[message.note] = time_s
        if message.type == "note_off" and message.note in held:
            start_s = held.pop(message.note)
            sounding.append((message.note, round(start_s - PREROLL_S, 2), round(time_s - PREROLL_S, 2)))
    assert programs == [4]
    assert not held
    assert sorted(sounding) == [(62, -3.0, 2.0), (64, 1.0, 1.2), (64, 1.2, 1.7)] or sorted(sounding) == [
        (62, -3.0, 2.0),
        (64, 1.0, 1.19),
        (64, 1.2, 1.7),
    ]
    assert time_s == pytest.approx(8.0 + PREROLL_S)


def test_same_score_gives_the_same_midi_bytes(tmp_path: Path) -> None:
    for name in ("a.mid", "b.mid"):
        write_midi(tmp_path / name, band(5)[1], 30.0)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_midi_plays_every_note_of_the_excerpt_on_its_own_channel(seed: int, tmp_path: Path) -> None:
    _, tracks = band(seed)
    write_midi(tmp_path / "a.mid", tracks, 30.0)
    song = mido.MidiFile(tmp_path / "a.mid")
    channels = [{message.channel for message in track if not message.is_meta} for track in song.tracks]
    assert channels[0] == {9}
    assert len(set.union(*channels)) == len(tracks)
    for track, written in zip(tracks, song.tracks, strict=True):
        inside = sum(0 <= hit.start_s < 29.9 for hit in track.hits)
        assert sum(message.type == "note_on" for message in written) >= inside - 1
