"""Harmony, melody, patterns and signal tools behind the procedural songs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_train.synth.arrangement import Part, arrange
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, convolve, damped_modes, rms, smooth
from samuel_train.synth.form import BEATS_PER_BAR, Section, plan_song
from samuel_train.synth.melody import write_melody
from samuel_train.synth.styles import STYLES, Style
from samuel_train.synth.theory import PROGRESSIONS, Chord, Key, Mode, Quality, chord_of, melody_scale

keys = st.builds(Key, st.integers(0, 11), st.sampled_from(Mode))
chords = st.builds(Chord, st.integers(0, 11), st.sampled_from(Quality))


@given(chords, keys)
def test_chord_names_read_back(chord: Chord, key: Key) -> None:
    assert Chord.from_name(chord.name(key)) == chord


@pytest.mark.parametrize("name", ["", "H", "Cmaj", "c", "C##"])
def test_unknown_chord_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        Chord.from_name(name)


def test_known_chords_have_their_tones() -> None:
    assert set(Chord.from_name("Am").pitch_classes) == {9, 0, 4}
    assert set(Chord.from_name("Bb7").pitch_classes) == {10, 2, 5, 8}
    assert Key(10, Mode.MAJOR).tonic_name == "Bb"
    assert Key(7, Mode.MINOR).spell(10) == "Bb"
    assert Key(6, Mode.MINOR).tonic_name == "F#"


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("sevenths", [False, True])
def test_progressions_are_diatonic_but_for_the_minor_dominant(mode: Mode, sevenths: bool) -> None:
    key = Key(0, mode)
    for progression in PROGRESSIONS[mode]:
        numerals = progression.split()
        assert len(numerals) == 4
        for numeral in numerals:
            foreign = set(chord_of(numeral, key, sevenths).pitch_classes) - set(key.scale)
            assert foreign == (set() if (mode, numeral) != (Mode.MINOR, "V") else {11})


@given(keys, st.booleans())
def test_melody_scale_contains_every_dominant(key: Key, sevenths: bool) -> None:
    dominant = chord_of("V", key, sevenths)
    scale = melody_scale(key, dominant)
    assert set(dominant.pitch_classes) <= scale
    assert len(scale) == 7


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_style_lines_are_whole_bars_of_known_marks(style: Style) -> None:
    allowed = {"kick": "Xxo.", "snare": "Xxo.", "hat": "XxoO.", "bass": "R58a.-", "comping": "Xx0123.-"}
    for part, marks in allowed.items():
        for line in getattr(style, part):
            assert len(line) == 16
            assert set(line) <= set(marks)


@pytest.mark.parametrize("seed", range(8))
def test_melody_stays_in_key_and_rests_on_chord_tones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plan = plan_song(rng, 48.0)
    melody = write_melody(rng, plan, 50, 67)
    on_chord = []
    for note in melody:
        bar = plan.bars[int(note.beat) // BEATS_PER_BAR]
        chord = bar.chords[int(note.beat) % BEATS_PER_BAR // 2]
        assert bar.section.sung
        assert 50 <= note.midi <= 67
        assert note.midi % 12 in melody_scale(plan.key, chord)
        if note.beat % 2 == 0:
            on_chord.append(note.midi % 12 in chord.pitch_classes)
    assert np.mean(on_chord) > 0.85
    ends = [note.beat + note.beats for note in melody]
    assert all(end <= following.beat for end, following in zip(ends, melody[1:], strict=False))
    rests = [following.beat - end for end, following in zip(ends, melody[1:], strict=False)]
    assert sum(rest >= 1 for rest in rests) >= len(plan.bars) // 4 - 2  # a breath every other bar or so


@pytest.mark.parametrize("seed", range(8))
def test_bass_begins_bars_on_the_root(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plan = plan_song(rng, 30.0)
    notes, strokes = arrange(rng, plan)
    roots = {round(plan.time_s(4 * index), 3): bar.chords[0].root for index, bar in enumerate(plan.bars)}
    downbeats = [
        (note, root)
        for note in notes
        for time_s, root in roots.items()
        if note.part is Part.BASS and abs(note.start_s - time_s) < 0.02
    ]
    assert all(note.midi % 12 == root for note, root in downbeats)
    assert downbeats or plan.style.name == "dance"  # dance bass may wait for the off-beat
    first_sung = next(index for index, bar in enumerate(plan.bars) if bar.section is not Section.INTRO)
    assert all(stroke.start_s > plan.time_s(BEATS_PER_BAR * first_sung) - 0.02 for stroke in strokes)


def test_damped_modes_equal_the_formula() -> None:
    frequencies, amplitudes, decays = np.array([110.0, 443.0]), np.array([1.0, 0.3]), np.array([2.0, 9.0])
    time_s = np.arange(3001) / SAMPLE_RATE_HZ
    angles = 2 * np.pi * frequencies[:, None] * time_s
    expected = (amplitudes[:, None] * np.exp(-decays[:, None] * time_s) * np.sin(angles)).sum(axis=0)
    actual = damped_modes(frequencies, amplitudes, decays, 3001)
    assert rms(actual - expected) < 1e-5 * rms(expected)


@pytest.mark.parametrize("samples", [1, 1000, 140_000, 300_001])
def test_convolution_in_blocks_equals_convolution(samples: int) -> None:
    rng = np.random.default_rng(0)
    signal, response = rng.standard_normal(samples), rng.standard_normal(50)
    expected = np.convolve(signal, response)[:samples]
    assert rms(convolve(signal.astype(np.float32), response) - expected) < 1e-5 * rms(expected)


@given(st.integers(1, 40), st.integers(1, 90))
def test_smoothing_keeps_length_and_constants(width: int, points: int) -> None:
    assert np.allclose(smooth(np.full(points, 3.5), width), 3.5)
    assert smooth(np.ones((points, 2)), width).shape == (points, 2)
