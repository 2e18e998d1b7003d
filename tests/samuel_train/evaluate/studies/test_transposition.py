"""Turns of chroma whose amount is known, and what follows from them."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.settings import Sampler
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.studies.transposition import Followed, Pooling, Shift, Transposition

_SEMITONES = (-5, -3, -2, 2, 3, 5)
_CHROMA = np.random.default_rng(0).random((12, 9))


def _moved(turns: tuple[int, ...]) -> Followed:
    """Bands that turn by ``turns`` when the voice moves by _SEMITONES."""
    shifts = zip(_SEMITONES, turns, strict=True)
    return Followed("band", tuple(Shift.of(s, _CHROMA, np.roll(_CHROMA, turn, axis=0)) for s, turn in shifts))


@pytest.mark.parametrize("pooling", list(Pooling))
def test_a_band_that_moves_with_the_voice_is_right_everywhere(pooling: Pooling) -> None:
    band = _moved(_SEMITONES)
    assert [shift.best(pooling) for shift in band.shifts] == list(_SEMITONES)
    assert band.right(pooling) == 6 and band.shuffled_right(pooling) == 0
    assert band.margin(pooling) > 0.9
    assert band.around(pooling)[5] == pytest.approx(1) and np.argmax(band.around(pooling)) == 5


@pytest.mark.parametrize("pooling", list(Pooling))
def test_a_band_that_stays_is_right_nowhere(pooling: Pooling) -> None:
    band = _moved((0,) * 6)
    assert [shift.best(pooling) for shift in band.shifts] == [0] * 6
    assert band.right(pooling) == 0 and band.shuffled_right(pooling) == 0 and band.margin(pooling) < 0.1


def test_a_band_that_always_moves_the_same_way_is_as_right_when_shuffled() -> None:
    band = _moved((3,) * 6)
    assert band.right(Pooling.SPANS) == 1
    assert band.shuffled_right(Pooling.SPANS) == pytest.approx(
        1
    )  # five of six bands meet the shift 3 a fifth of the time


def test_a_turn_and_its_octave_are_the_same() -> None:
    assert Shift.of(7, _CHROMA, np.roll(_CHROMA, -5, axis=0)).right(Pooling.SPANS)
    assert Shift.of(6, _CHROMA, np.roll(_CHROMA, -6, axis=0)).best(Pooling.SPANS) == 6
    assert not Shift.of(6, _CHROMA, np.roll(_CHROMA, 5, axis=0)).right(Pooling.SPANS)


def test_the_wrong_turns_are_the_other_eleven() -> None:
    shift = Shift(2, {Pooling.SPANS: tuple(range(12)), Pooling.WHOLE: (0.0,) * 12})
    assert shift.at(Pooling.SPANS, 2) == shift.at(Pooling.SPANS, -10) == 2
    assert shift.others(Pooling.SPANS) == (pytest.approx((66 - 2) / 11), 11)


def test_harmony_that_moves_to_another_place_is_right_as_a_whole_only() -> None:
    shift = Shift.of(3, _CHROMA, np.roll(_CHROMA, (3, 4), axis=(0, 1)))
    assert shift.at(Pooling.WHOLE, 3) == pytest.approx(1)
    assert shift.at(Pooling.SPANS, 3) < 0.6


def test_silence_follows_nothing() -> None:
    band = Followed("band", tuple(Shift.of(s, _CHROMA, np.zeros((12, 9))) for s in _SEMITONES))
    assert band.right(Pooling.SPANS) == band.right(Pooling.WHOLE) == 0


def test_plain_values_hold_every_shift() -> None:
    case = Case(Sampler.DDIM, 2.0, 4, 7)
    band = _moved((-5, -3, -2, 2, 3, 0))
    values = Transposition("a.wav", case, 4, band, [Followed("voice", band.shifts)]).to_dict()
    assert values["voice"] == "a.wav" and values["seeds"] == 4 and values["case"]["seed"] == 7
    assert (values["band"]["spans"]["right"], values["band"]["spans"]["of"]) == (5, 6)
    last = values["band"]["whole"]["shifts"][-1]
    assert last["semitones"] == 5 and last["best"] == 0 and last["others_max"] == 1 > last["correlation"]
    assert values["controls"]["voice"] == values["band"]
