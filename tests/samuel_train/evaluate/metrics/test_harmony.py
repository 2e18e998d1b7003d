"""Harmony per half bar: the same, transposed, late, silent."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.evaluate.metrics.harmony import chord_chroma, correlation, pooled, spans
from samuel_train.evaluate.spectra import analysed, chroma
from tests.support.train import signals

_C, _F, _G, _A_MINOR = (48, 60, 64, 67), (53, 60, 65, 69), (55, 59, 62, 67), (57, 60, 64, 69)
_SONG = (_C, _F, _G, _A_MINOR, _F, _C)
_BOUNDS_S = np.arange(7.0)


def _pooled(samples: np.ndarray, bounds_s: np.ndarray = _BOUNDS_S) -> np.ndarray:
    return pooled(chroma(analysed(samples, signals.RATE_HZ)), bounds_s)


def _transposed(semitones: int) -> np.ndarray:
    return _pooled(signals.chords([[midi + semitones for midi in chord] for chord in _SONG]))


def test_the_same_harmony_correlates_fully_at_any_level() -> None:
    song = signals.chords(_SONG)
    assert correlation(_pooled(song), _pooled(0.1 * song)) == pytest.approx(1, abs=1e-4)


def test_an_octave_is_the_same_harmony_and_a_tritone_another() -> None:
    reference = _transposed(0)
    assert correlation(reference, _transposed(12)) > 0.95
    assert correlation(reference, _transposed(6)) < 0.1


def test_harmony_that_comes_a_span_late_is_wrong() -> None:
    reference = _pooled(signals.chords(_SONG))
    late = _pooled(signals.chords([_SONG[-1], *_SONG[:-1]]))
    assert correlation(reference, late) < 0.6 < correlation(reference, reference)


def test_the_second_half_that_is_silent_counts_as_nothing() -> None:
    song = signals.chords(_SONG)
    half = song.copy()
    half[len(half) // 2 :] = 0
    assert correlation(_pooled(song), _pooled(half)) == pytest.approx(0.5, abs=0.01)


def test_spans_in_which_the_reference_is_silent_do_not_count() -> None:
    song = signals.chords(_SONG)
    opening = song.copy()
    opening[len(opening) // 2 :] = 0
    assert correlation(_pooled(opening), _pooled(song)) > 0.98


def test_noise_and_silence_have_no_harmony() -> None:
    reference = _pooled(signals.chords(_SONG))
    assert abs(correlation(reference, _pooled(signals.noise(6)))) < 0.3
    assert correlation(reference, _pooled(signals.silence(6))) == 0
    assert correlation(_pooled(signals.silence(6)), reference) == 0


def test_a_shorter_recording_is_compared_as_far_as_it_goes() -> None:
    assert correlation(_pooled(signals.chords(_SONG)), _pooled(signals.chords(_SONG[:4]))) > 0.98


def test_chords_of_their_names() -> None:
    written = [(0.0, "C"), (1.0, "F"), (2.0, "G"), (3.0, "Am"), (4.0, "F"), (5.0, "C")]
    template = chord_chroma(written, _BOUNDS_S)
    np.testing.assert_array_equal(np.flatnonzero(template[:, 3]), [0, 4, 9])
    assert correlation(template, _pooled(signals.chords(_SONG))) > 0.85
    assert correlation(np.roll(template, 6, axis=0), _pooled(signals.chords(_SONG))) < 0


def test_a_chord_lasts_until_the_next_and_nothing_sounds_before_the_first() -> None:
    template = chord_chroma([(1.0, "C"), (4.0, "G7"), (5.0, "N")], _BOUNDS_S)
    assert template.sum(axis=0).tolist() == [0, 3, 3, 3, 4, 0]


def test_spans_are_half_bars_within_the_song_or_seconds() -> None:
    half_bars_s = 0.3 + np.arange(5)
    np.testing.assert_allclose(spans(4.0, half_bars_s), [0.3, 1.3, 2.3, 3.3])
    np.testing.assert_allclose(spans(3.5, None), [0, 1, 2, 3])
