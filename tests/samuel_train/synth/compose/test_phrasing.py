"""The performance of a melody: human timing, a curve of F0 on the notes, vowels laid out along them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from samuel_train.synth.compose.phrasing import Performed, control_times_s, fundamental_hz, loudness_curve, plan_beat
from samuel_train.synth.compose.style_book import STYLES
from samuel_train.synth.dsp import midi_to_hz
from samuel_train.synth.song import Composition, compose
from samuel_train.synth.voice.singer import FREEST, Performance, Singer, draw_singer
from samuel_train.synth.voice.syllables import Syllable, split
from samuel_train.synth.voice.vocoder import lay_out

SEEDS = range(10)


@pytest.fixture(params=SEEDS)
def composition(request: pytest.FixtureRequest) -> Composition:
    return compose(request.param, 30.0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("freest", "median_s", "most_s"), [(0.0, 0.03, 0.07), (FREEST, 0.04, 0.1)])
def test_notes_begin_near_the_grid_but_not_on_it(seed: int, freest: float, median_s: float, most_s: float) -> None:
    composition = compose(seed, 30.0, freest)
    written = np.array([start_s for start_s, _, _ in composition.facts.melody])
    deviations = [np.min(np.abs(written - note.onset_s)) for note in composition.notes]
    assert 0.002 < np.median(deviations) < median_s
    assert max(deviations) < most_s


def test_triplets_are_sung_as_written_where_a_band_swings() -> None:
    swing = next(style for style in STYLES if style.name == "swing")
    plan = replace(compose(0, 5.0).plan, style=swing)
    assert plan_beat(plan, 5 + 1 / 3) == 5 + 1 / 3
    assert plan_beat(plan, 5 + 2 / 3) == 5 + 2 / 3
    assert plan_beat(plan, 5.5) == pytest.approx(5 + 2 / 3)
    assert plan_beat(plan, 5.75) == pytest.approx(5 + 5 / 6)


def _strays_cents(composition: Composition, singer: Singer) -> float:
    """How far from the written notes a singer is, in the median over the middles of the notes."""
    notes = composition.notes
    times_s = control_times_s(notes, 30.0)
    f0_hz = fundamental_hz(np.random.default_rng(0), notes, singer, times_s)
    assert np.abs(np.diff(np.log2(f0_hz))).max() < 0.25  # glides, not jumps, even from octave to octave
    cents = []
    for note in notes:
        inside = (times_s > note.onset_s + 0.1) & (times_s < note.end_s - 0.03)
        cents.append(1200 * np.log2(f0_hz[inside] / midi_to_hz(note.midi)))
    return float(np.median(np.abs(np.concatenate(cents))))


_NEAT = {"portamento_s": 0.05, "scooping": 0.0, "intonation_cents": 3.0, "tuning_cents": 0.0, "drift_cents": 3.0}
_FREE = {"portamento_s": 0.18, "scooping": 0.5, "intonation_cents": 35.0, "tuning_cents": 0.0, "drift_cents": 30.0}


def test_fundamental_stays_on_the_notes_of_a_neat_singer(composition: Composition) -> None:
    neat = replace(composition.singer, **_NEAT)
    assert _strays_cents(composition, neat) < 15
    assert _strays_cents(composition, replace(neat, tuning_cents=30.0)) == pytest.approx(30, abs=5)


def test_a_free_singer_is_off_but_on_the_right_side_of_the_semitone(composition: Composition) -> None:
    assert 15 < _strays_cents(composition, replace(composition.singer, **_FREE)) < 50


def test_voice_falls_silent_between_phrases(composition: Composition) -> None:
    times_s = control_times_s(composition.notes, 30.0)
    loudness = loudness_curve(composition.notes, times_s)
    assert loudness.max() <= 1
    gaps = [
        (before.end_s, after.onset_s)
        for before, after in zip(composition.notes, composition.notes[1:], strict=False)
        if after.onset_s - before.end_s > 0.2
    ]
    assert gaps
    for start_s, stop_s in gaps:
        assert loudness[np.searchsorted(times_s, (start_s + stop_s) / 2)] == 0


def test_singers_differ() -> None:
    singers = [draw_singer(np.random.default_rng(seed)) for seed in range(200)]
    assert {singer.performance for singer in singers} == set(Performance)
    assert len({singer.speaker for singer in singers}) >= 10
    assert 60 < sum(singer.speaker.female for singer in singers) < 140
    assert min(singer.lowest for singer in singers) <= 40  # a bass
    habits = np.log([[s.portamento_s, s.scoop_cents, s.intonation_cents, s.drift_cents, s.timing_s] for s in singers])
    assert np.corrcoef(habits.T).min() > 0.5  # who is free in one is free in all


def test_in_a_studio_nobody_sings_freely() -> None:
    singers = [draw_singer(np.random.default_rng(seed), freest=0.0) for seed in range(200)]
    assert max(singer.intonation_cents for singer in singers) < 10
    assert max(singer.timing_s for singer in singers) < 0.015
    anybody = [draw_singer(np.random.default_rng(seed)) for seed in range(200)]
    drawn, free = ([(s.speaker, s.lowest, s.performance) for s in each] for each in (singers, anybody))
    assert drawn == free


def test_syllables_of_a_word() -> None:
    phonemes = [(0.0, "s"), (0.1, "I"), (0.3, "l"), (0.35, "v"), (0.4, "3"), (0.6, "_:")]
    assert split(phonemes, 0.7) == (Syllable(0.0, 0.1, 0.3, 0.3), Syllable(0.3, 0.4, 0.6, 0.6))


def test_word_end_closes_the_last_syllable_and_a_hum_has_no_vowel() -> None:
    (syllable,) = split([(0.0, "t"), (0.1, "aI"), (0.4, "m")], 0.5)
    assert syllable == Syllable(0.0, 0.1, 0.4, 0.5)
    (hum,) = split([(0.0, "m"), (0.3, "_")], 0.5)
    assert hum == Syllable(0.0, 0.0, 0.3, 0.3, hummed=True)
    assert split([], 0.5) == split([(0.0, "_:")], 0.5) == ()


def note(onset_s: float, end_s: float, carries_on: bool = False) -> Performed:
    return Performed(onset_s, end_s, 60, 1.0, False, False, carries_on)


def test_vowels_fall_on_the_beat_and_last_as_long_as_the_note() -> None:
    syllable = Syllable(1.0, 1.1, 1.3, 1.4)
    times_s = np.arange(-100, 800) * 0.005
    layout = lay_out([note(1.0, 3.0)], [syllable], times_s)
    sounding_s = times_s[~np.isnan(layout.source)]
    held_s = times_s[layout.held]
    assert sounding_s[0] == pytest.approx(0.9, abs=0.01)
    assert sounding_s[-1] == pytest.approx(3.0, abs=0.01)
    assert held_s[0] == pytest.approx(1.0, abs=0.006)
    assert held_s[-1] == pytest.approx(2.9, abs=0.01)
    frames = layout.source[layout.held]
    assert frames.min() >= 1.1 / 0.005 - 1e-6
    assert frames.max() <= 1.3 / 0.005 + 1e-6
    assert frames[:3] == pytest.approx([220, 221, 222], abs=2)  # it opens at its own speed
    assert frames[-1] == pytest.approx(260, abs=2)
    assert np.abs(np.diff(frames)).max() < 4  # it moves through the vowel without jumps


def test_consonants_of_the_next_syllable_come_before_its_beat() -> None:
    syllable = Syllable(1.0, 1.1, 1.3, 1.3)
    times_s = np.arange(0, 800) * 0.005
    layout = lay_out([note(1.0, 2.0), note(2.0, 3.0)], [syllable, syllable], times_s)
    consonant_s = times_s[(layout.syllable == 1) & ~layout.held]
    assert consonant_s[0] == pytest.approx(1.9, abs=0.01)
    assert consonant_s[-1] < 2.0


def test_carried_syllable_does_not_start_again() -> None:
    syllable = Syllable(1.0, 1.1, 1.3, 1.4)
    times_s = np.arange(0, 800) * 0.005
    layout = lay_out([note(1.0, 2.0), note(2.0, 3.0, carries_on=True)], [syllable, syllable], times_s)
    between = (times_s > 1.05) & (times_s < 2.8)
    assert layout.held[between].all()
