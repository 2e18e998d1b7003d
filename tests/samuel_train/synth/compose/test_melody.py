"""The sung line: on the chords, in the compass, with room to breathe."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.synth.compose.form import plan_song
from samuel_train.synth.compose.melody import write_melody
from samuel_train.synth.compose.theory import melody_scale

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_melody_stays_in_key_and_rests_on_chord_tones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plan = plan_song(rng, 48.0)
    meter = plan.meter
    melody = write_melody(rng, plan, 50, 67)
    on_chord = []
    for note in melody:
        bar = plan.bars[int(note.beat) // meter.beats]
        chord = bar.chord_at(note.beat % meter.beats * meter.steps_per_beat)
        assert bar.section.sung
        assert 50 <= note.midi <= 67
        assert note.midi % 12 in melody_scale(plan.key, chord)
        if note.beat % meter.beats == 0:
            on_chord.append(note.midi % 12 in chord.pitch_classes)
    assert np.mean(on_chord) > 0.85
    ends = [note.beat + note.beats for note in melody]
    assert all(end <= following.beat + 1e-9 for end, following in zip(ends, melody[1:], strict=False))


@pytest.mark.parametrize("seed", SEEDS)
def test_phrases_open_after_rests_and_close_before_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    melody = write_melody(rng, plan_song(rng, 48.0), 50, 67)
    assert melody[0].opens_phrase
    assert melody[-1].closes_phrase
    closings = sum(note.closes_phrase for note in melody)
    assert 2 <= len(melody) / closings <= 16  # notes a phrase


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_are_commoner_than_leaps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    melody = write_melody(rng, plan_song(rng, 48.0), 50, 67)
    moves = np.abs(np.diff([note.midi for note in melody]))
    assert np.median(moves) <= 4
    assert moves.max() <= 14


def test_sections_come_back() -> None:
    rng = np.random.default_rng(3)
    plan = plan_song(rng, 60.0)
    melody = write_melody(rng, plan, 50, 67)
    pitches = [note.midi for note in melody]
    first = pitches[:6]
    assert any(pitches[start : start + 6] == first for start in range(1, len(pitches) - 6))
