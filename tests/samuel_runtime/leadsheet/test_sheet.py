"""What a lead sheet may hold, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet, Meter, Note


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"duration_s": 0.0}, "duration"),
        ({"duration_s": float("nan")}, "duration"),
        ({"duration_s": float("inf")}, "duration"),
        ({"beats_s": (1.0, 0.5)}, "beats run backwards at 0.500 s"),
        ({"beats_s": (1.0, 1.0)}, "beats run backwards"),
        ({"beats_s": (1.0, float("nan"))}, "beats at nan"),
        ({"beats_s": (-0.1,)}, "outside"),
        ({"beats_s": (10.1,)}, "outside"),
        ({"beats_s": (1.0, 2.0), "downbeats_s": (1.5,)}, "downbeat at 1.500 s is none of the beats"),
        ({"downbeats_s": (1.5,)}, "none of the beats"),
        ({"chords": (ChordSpan(1.0, "H"),)}, "'H' is no chord"),
        ({"chords": (ChordSpan(2.0, "C"), ChordSpan(1.0, "F"))}, "chords run backwards"),
        ({"melody": (Note(11.0, 1.0, 60.0),)}, "melody at 11.0 s, outside"),
        ({"key": "H minor"}, "no key"),
        ({"meter": "5/4"}, "meter must be one of 4/4, 3/4, 6/8"),
        ({"beats_s": tuple(index / 1e5 for index in range(100_001))}, "more than 100000"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        LeadSheet(**{"duration_s": 10.0, **wrong})


def test_names_are_made_one() -> None:
    sheet = LeadSheet(10.0, "3/4", "Am")  # type: ignore[arg-type]
    assert (sheet.meter, sheet.key) == (Meter.WALTZ, "A minor")


@given(bpm=st.floats(30, 300), first_s=st.floats(0, 2), late=st.integers(0, 9))
def test_the_tempo_is_that_of_most_beats(bpm: float, first_s: float, late: int) -> None:
    times = [first_s + 60 / bpm * index for index in range(20)]
    times[10 + late :] = [time_s + 0.5 for time_s in times[10 + late :]]  # one break
    assert LeadSheet(60.0, beats_s=tuple(times)).tempo_bpm == pytest.approx(bpm)


def test_one_beat_has_no_tempo() -> None:
    assert LeadSheet(10.0).tempo_bpm is None
    assert LeadSheet(10.0, beats_s=(1.0,)).tempo_bpm is None


def test_a_chord_sounds_until_the_next() -> None:
    sheet = LeadSheet(10.0, chords=(ChordSpan(1.0, "A:min"), ChordSpan(2.0, "F:maj")))
    assert [sheet.chord_at(time_s) for time_s in (0.9, 1.0, 1.9, 2.0, 9.0)] == ["X", "A:min", "A:min", "F:maj", "F:maj"]


def test_a_sheet_is_empty_as_long_as_nothing_is_known() -> None:
    assert LeadSheet(10.0, Meter.WALTZ).is_empty
    for known in ({"key": "C"}, {"beats_s": (1.0,)}, {"chords": (ChordSpan(0.0, "C"),)}):
        assert not LeadSheet(10.0, **known).is_empty  # type: ignore[arg-type]
