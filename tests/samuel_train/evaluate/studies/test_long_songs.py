"""Songs that are looped on their bar lines, or are long enough."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.evaluate.metrics.beats import tempo_bpm, track_beats
from samuel_train.evaluate.songs import Stems
from samuel_train.evaluate.spectra import analysed, onset_strength
from samuel_train.evaluate.studies.long_songs import facts_within, lengthened
from samuel_train.synth.facts import SongFacts
from tests.support.train import signals
from tests.support.train import toy_songs as toy

_RATE = signals.RATE_HZ
_FIRST_S, _BEAT_S = 0.4, 0.5
_BEATS_S = tuple(_FIRST_S + _BEAT_S * beat for beat in range(22))  # five bars and two beats
_FACTS = SongFacts.from_dict(toy.FACTS | {"beats_s": list(_BEATS_S)})
_CLICKS = signals.clicks(120, 11.5, first_s=_FIRST_S)[0]
_STEMS = Stems(signals.noise(11.5), _CLICKS)


def test_a_loop_keeps_beat_and_bars_across_its_seams() -> None:
    song = lengthened(_STEMS, _FACTS, 35 * _RATE, _RATE)
    assert song is not None and song.facts is not None
    assert song.stems.vocals.shape == song.stems.accompaniment.shape == (35 * _RATE, 2)
    assert song.loop_s == pytest.approx(10)  # five whole bars
    np.testing.assert_allclose(song.facts.beats_s, np.arange(70) * _BEAT_S, atol=1e-4)
    found_s = track_beats(onset_strength(analysed(song.stems.accompaniment, _RATE)))
    assert tempo_bpm(found_s) == pytest.approx(120, rel=0.01)
    offset_s = (found_s + 0.25) % _BEAT_S - 0.25
    assert np.abs(offset_s).max() < 0.06


def test_chords_are_looped_too_and_each_turn_begins_with_that_of_its_first_bar() -> None:
    """The first bar begins 0.4 s after the first chord."""
    song = lengthened(_STEMS, _FACTS, 35 * _RATE, _RATE)
    assert song is not None and song.facts is not None
    turn = [(0.0, "C"), (0.6, "F"), (1.6, "G"), (2.6, "Am"), (3.6, "F"), (4.6, "C")]
    expected = [(10 * number + start_s, name) for number in range(4) for start_s, name in turn]
    assert [name for _, name in song.facts.chords] == [name for _, name in expected]
    np.testing.assert_allclose([start_s for start_s, _ in song.facts.chords], [s for s, _ in expected], atol=1e-3)


def test_seams_do_not_click() -> None:
    steady = Stems(signals.stereo(np.full(round(11.5 * _RATE), 0.5)), _CLICKS)
    song = lengthened(steady, _FACTS, 30 * _RATE, _RATE)
    assert song is not None
    assert np.abs(np.diff(song.stems.vocals[:, 0])).max() < 0.5 / (0.004 * _RATE)
    assert song.stems.vocals[5 * _RATE, 0] == 0.5


def test_a_long_song_is_cut_and_not_looped() -> None:
    song = lengthened(_STEMS, None, 8 * _RATE, _RATE)
    assert song is not None and song.loop_s is None
    np.testing.assert_array_equal(song.stems.vocals, _STEMS.vocals[: 8 * _RATE])


def test_without_four_bars_that_are_known_there_is_no_loop() -> None:
    few = SongFacts.from_dict(toy.FACTS | {"beats_s": list(_BEATS_S[:16])})
    assert lengthened(_STEMS, None, 30 * _RATE, _RATE) is None
    assert lengthened(_STEMS, few, 30 * _RATE, _RATE) is None
    assert lengthened(_STEMS, SongFacts.from_dict(toy.FACTS | {"beats_s": []}), 30 * _RATE, _RATE) is None


def test_beats_beyond_the_recording_are_not_looped() -> None:
    longer = SongFacts.from_dict(toy.FACTS | {"beats_s": [_FIRST_S + _BEAT_S * beat for beat in range(40)]})
    song = lengthened(_STEMS, longer, 30 * _RATE, _RATE)
    assert song is not None and song.loop_s == pytest.approx(10)


def test_facts_of_a_part_begin_on_a_half_bar_in_the_parts_own_time() -> None:
    part = facts_within(_FACTS, 1.0, 3.5)
    assert part is not None and part.tonic == "C" and part.tempo_bpm == 120 and part.chords == ()
    np.testing.assert_allclose(part.beats_s, [0.4, 0.9, 1.4, 1.9, 2.4])  # beat 2 of the song is at 1.4 s
    assert facts_within(None, 1.0, 3.5) is None
    late = facts_within(_FACTS, 60.0, 70.0)
    assert late is not None and late.beats_s == ()
