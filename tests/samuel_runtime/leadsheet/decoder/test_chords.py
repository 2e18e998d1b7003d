"""Chords and key from activations whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.leadsheet.chords import Chord, Key
from samuel_runtime.leadsheet.decoder import decode
from samuel_runtime.leadsheet.decoder.chords import best_chords
from samuel_runtime.leadsheet.decoder.harmony import (
    AGREEMENT,
    KEYS,
    VOCABULARY,
    log_ends,
    log_shares,
    log_transitions,
)
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet, Meter
from tests.support.heard import NOISY, even_sheet, heard

SONG = ("A:min", "F:maj", "C:maj", "G:maj")
RICH = ("D:min7", "G:7", "C:maj7", "A:min", "B:hdim7", "E:7", "A:min7", "G:sus4")


def root_at(sheet: LeadSheet, time_s: float) -> int | None:
    return Chord.parse(sheet.chord_at(time_s)).root


@pytest.mark.parametrize(("meter", "chords"), [(Meter.COMMON, RICH), (Meter.WALTZ, SONG), (Meter.SIX_EIGHT, SONG)])
def test_a_progression_that_is_heard_clearly_is_written_down(meter: Meter, chords: tuple[str, ...]) -> None:
    truth = even_sheet(100, 60, meter=meter, chords=chords)
    found = decode(heard(truth), 60)
    assert [chord.name for chord in found.chords] == [chord.name for chord in truth.chords]
    starts_s = [[chord.start_s for chord in sheet.chords][1:] for sheet in (found, truth)]
    np.testing.assert_allclose(*starts_s, atol=0.01)
    assert found.chords[0].start_s == 0
    assert found.confidence.chords > 0.8


def test_chords_were_surer_than_the_roots_that_were_right() -> None:
    """A chord is as sure as its root is heard on average, and no surer for what else speaks for it."""
    truth = even_sheet(100, 30, chords=SONG)
    activations = heard(truth)
    doubtful = replace(activations, root=0.5 * activations.root + 0.5 / 12)
    found, less = (decode(each, 30) for each in (activations, doubtful))
    assert [chord.name for chord in less.chords] == [chord.name for chord in found.chords]
    assert less.confidence.chords == pytest.approx(0.5 * found.confidence.chords + 0.5 / 12, abs=0.01)
    for chord, doubted in zip(found.chords, less.chords, strict=True):
        assert doubted.confidence == pytest.approx(0.5 * chord.confidence + 0.5 / 12, abs=0.02)


def test_a_chord_may_change_within_a_bar() -> None:
    truth = even_sheet(100, 30, chords=SONG, shift=1)
    half_bars = [truth.beats_s[0], *truth.beats_s[1::2]]
    changes = tuple(ChordSpan(time_s, SONG[index % 4]) for index, time_s in enumerate(half_bars))
    found = decode(heard(replace(truth, chords=changes)), 30)
    starts_s = [[chord.start_s for chord in spans][1:] for spans in (found.chords, changes)]
    np.testing.assert_allclose(*starts_s, atol=0.01)


@settings(max_examples=2, deadline=None, derandomize=True)
@given(up=st.integers(1, 11), seed=st.integers(0, 99))
def test_chords_and_key_move_with_the_song(up: int, seed: int) -> None:
    activations = heard(even_sheet(100, 30, chords=SONG, key="A minor"), NOISY, seed)
    shifted = type(activations)(
        activations.beat,
        activations.downbeat,
        np.roll(activations.tones, up, axis=1),
        np.roll(activations.root, up, axis=1),
        np.roll(activations.key.reshape(-1, 2, 12), up, axis=2).reshape(-1, 24),
    )
    found, moved = decode(activations, 30), decode(shifted, 30)
    pitches = [[Chord.parse(chord.name) for chord in sheet.chords] for sheet in (found, moved)]
    assert [((chord.root or 0) + up) % 12 for chord in pitches[0]] == [chord.root for chord in pitches[1]]
    assert [chord.quality for chord in pitches[0]] == [chord.quality for chord in pitches[1]]


def test_among_noise_more_roots_are_right_than_heard_likeliest() -> None:
    right, likeliest = [], []
    for seed in range(3):
        truth = even_sheet(100, 60, chords=SONG, key="A minor")
        activations = heard(truth, NOISY, seed)
        found = decode(activations, 60)
        times_s = np.arange(1, 59, 0.3)
        roots = activations.root[(times_s / FRAME_S).astype(int)].argmax(axis=1)
        right += [root_at(found, time_s) == root_at(truth, time_s) for time_s in times_s]
        likeliest += [root == root_at(truth, time_s) for root, time_s in zip(roots, times_s, strict=True)]
    assert np.mean(right) > np.mean(likeliest) + 0.1


def test_sevenths_are_written_only_if_they_are_heard() -> None:
    truth = even_sheet(100, 30, chords=("C:maj", "F:maj", "G:maj", "C:maj"))
    activations = heard(truth)
    assert {Chord.parse(chord.name).quality for chord in decode(activations, 30).chords} == {"maj"}
    activations.tones[:, 5] = np.maximum(activations.tones[:, 5], 0.25)
    assert {Chord.parse(chord.name).quality for chord in decode(activations, 30).chords} == {"maj"}
    activations.tones[:, 5] = np.maximum(activations.tones[:, 5], 0.9 * activations.root[:, 7])
    assert "G:7" in {chord.name for chord in decode(activations, 30).chords}


@pytest.mark.parametrize(
    ("chords", "key"),
    [(("C:maj", "F:maj", "G:7", "C:maj"), "C major"), (("A:min", "D:min", "E:7", "A:min"), "A minor")],
)
def test_the_key_is_found_from_the_chords_alone(chords: tuple[str, ...], key: str) -> None:
    found = decode(heard(even_sheet(100, 40, chords=chords)), 40)
    assert found.key == key
    assert 1 / 24 < found.confidence.key <= 1


@pytest.mark.parametrize(("ends", "middle", "key"), [("A:min", "C:maj", "A minor"), ("C:maj", "A:min", "C major")])
def test_songs_rather_begin_and_end_on_the_tonic(ends: str, middle: str, key: str) -> None:
    assert decode(heard(even_sheet(120, 16.2, chords=(ends, middle, middle, ends))), 16.2).key == key


def test_the_estimators_word_decides_where_chords_fit_two_keys() -> None:
    chords = ("A:min", "F:maj", "C:maj", "G:maj")
    for key in ("A minor", "C major"):
        activations = heard(even_sheet(100, 20, chords=chords, key=key))
        assert decode(activations, 20).key == key


@pytest.mark.parametrize("trust", [0.35, 0.7])
def test_each_chord_is_the_one_that_can_be_expected_to_agree_most(trust: float) -> None:
    """Against every pair of chords there is, at two spans over a bar line."""
    key = Key.parse("G major")
    for seed in range(8):
        heard_here = np.random.default_rng(seed).normal(0, 3, (2, len(VOCABULARY)))
        scores = trust * heard_here + log_ends(key)
        joint = scores[0][:, None] + log_shares(key)[:, None] + log_transitions(key, True) + scores[1]
        likely = np.exp(joint - joint.max())
        likely /= likely.sum()
        best = best_chords(heard_here, np.array([True, True]), key, trust)
        for span, of_span in enumerate((likely.sum(axis=1), likely.sum(axis=0))):
            assert best[span] == (AGREEMENT @ of_span).argmax()
    np.testing.assert_allclose(np.diag(AGREEMENT), 1)
    assert AGREEMENT.max() < 1 + 1e-12 and np.array_equal(AGREEMENT, AGREEMENT.T)


def test_tones_count_for_more_where_chords_are_heard_on_the_beats() -> None:
    """A chord of A minor, and a G of which the estimator is not sure."""
    activations = heard(even_sheet(100, 20, chords=("A:min",), key="A minor"))
    tones = activations.tones.copy()
    tones[:, 7] = 0.79
    told = replace(activations, tones=tones)
    assert decode(told, 20).chord_at(10) == "A:min"
    assert decode(told, 20, None, lambda grid, activations: activations).chord_at(10) == "A:min7"


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_priors_are_probabilities(key: Key) -> None:
    assert np.exp(log_shares(key)).sum() == pytest.approx(1)
    for over in (False, True):
        np.testing.assert_allclose(np.exp(log_transitions(key, over)).sum(axis=1), 1)


def test_chords_are_spelled_in_the_key() -> None:
    truth = even_sheet(100, 30, chords=("A#:maj",))
    assert decode(heard(truth), 30, Given(key=Key.parse("Bb major"))).chords[0].name == "Bb:maj"
