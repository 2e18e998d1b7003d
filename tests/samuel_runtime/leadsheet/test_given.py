"""What a user says of a song, as text, and the sheet that it makes by itself."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.errors import UserError, with_options
from samuel_runtime.leadsheet.chords import Key
from samuel_runtime.leadsheet.given import Given, parsed_chords
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet, Meter, Note
from samuel_runtime.leadsheet.stated import fitted, sheet_from_given
from tests.support.runtime.lead_sheets import NAMES, a_sheet, sheets


def test_a_progression_is_a_chord_a_bar_or_so_many_beats() -> None:
    assert parsed_chords("Am F:2  G7/B:2\tBbmaj7") == (("A:min", 0), ("F:maj", 2), ("G:7/3", 2), ("Bb:maj7", 0))


def test_harte_names_are_taken_and_go_before_beats() -> None:
    assert parsed_chords("A:min F:7 F7:2 A:min:2 N") == (("A:min", 0), ("F:7", 0), ("F:7", 2), ("A:min", 2), ("N", 0))


@given(chords=st.lists(st.tuples(NAMES, st.integers(0, 8)), min_size=1, max_size=8))
def test_a_progression_survives_its_text(chords: list[tuple[str, int]]) -> None:
    assert parsed_chords(" ".join(f"{name}:{beats}" if beats else name for name, beats in chords)) == tuple(chords)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"bpm": 0}, "--bpm must lie between 20 and 400, not 0"),
        ({"bpm": 1e9}, "--bpm must lie between"),
        ({"bpm": float("nan")}, "--bpm must lie between"),
        ({"bpm": "92"}, "--bpm must lie between 20 and 400, not '92'"),
        ({"bpm": 92, "first_beat_s": -1}, "--first-beat-s must be a time"),
        ({"bpm": 92, "first_beat_s": float("inf")}, "--first-beat-s must be a time"),
        ({"first_beat_s": 1.0}, "--first-beat-s must come with a tempo; give --bpm as well"),
        ({"meter": "5/4"}, "--meter must be one of 4/4, 3/4, 6/8"),
        ({"key": "H"}, "--key must be a tonic and a mode"),
        ({"chords": ""}, "--chords must be names"),
        ({"chords": ["Am"]}, "--chords must be names"),
        ({"chords": "Am H7"}, "--chords must be names such as Am"),
        ({"chords": "Am:0"}, "--chords must sound for 1 to 64 beats"),
        ({"chords": "Am:99999999999999999999"}, "--chords must sound for 1 to 64 beats"),
        ({"chords": "Am " * 10_001}, "--chords must be those of one song"),
    ],
)
def test_what_cannot_be_is_refused_by_its_option(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        Given.of(**wrong)
    assert with_options(str(refused.value)).startswith(said)


def test_plain_values_become_what_the_decoder_takes() -> None:
    said = Given.of(bpm=92, meter="3/4", key="F#m", chords="Am")
    assert said == Given(92.0, None, Meter.WALTZ, Key(6, True), (("A:min", 0),))


@given(bpm=st.floats(20, 400), first_s=st.floats(0, 5), meter=st.sampled_from(Meter))
def test_a_tempo_is_a_grid_over_the_whole_song(bpm: float, first_s: float, meter: Meter) -> None:
    sheet = sheet_from_given(Given(bpm, first_s, meter), 30.0)
    assert sheet.beats_s[0] == first_s
    assert sheet.beats_s == pytest.approx([first_s + index * 60 / bpm for index in range(len(sheet.beats_s))])
    assert 30.0 - 60 / bpm - 1e-9 < sheet.beats_s[-1] <= 30.0
    assert sheet.downbeats_s == sheet.beats_s[:: meter.beats]
    assert sheet.tempo_bpm == pytest.approx(bpm)


def test_chords_come_round_from_the_first_downbeat() -> None:
    sheet = sheet_from_given(Given.of(bpm=60, first_beat_s=0.5, chords="Am F:2 G:2"), 18.0)
    starts = [(0.5, "A:min"), (4.5, "F:maj"), (6.5, "G:maj"), (8.5, "A:min"), (12.5, "F:maj"), (14.5, "G:maj"),
              (16.5, "A:min")]  # fmt: skip
    assert [(chord.start_s, chord.name) for chord in sheet.chords] == starts


def test_a_bar_that_is_too_long_has_its_chord_to_its_end() -> None:
    beats_s = tuple(0.5 * index for index in range(14))
    sheet = LeadSheet(7.0, beats_s=beats_s, downbeats_s=(0.0, 2.0, 4.5, 6.5))
    sheet = sheet_from_given(Given.of(chords="Am F", sheet=sheet), 7.0)
    assert [chord.start_s for chord in sheet.chords] == [0.0, 2.0, 4.5, 6.5]


def test_chords_without_beats_are_refused() -> None:
    with pytest.raises(UserError, match=r"^chords must lie on beats"):
        sheet_from_given(Given.of(chords="Am"), 9.0)


def test_a_first_beat_after_the_end_is_refused() -> None:
    with pytest.raises(UserError, match=r"^first_beat_s must lie within the 9\.000 s"):
        sheet_from_given(Given.of(bpm=92, first_beat_s=10), 9.0)


def test_what_is_said_beside_a_sheet_replaces_that_part_of_it() -> None:
    sheet = a_sheet()
    key = sheet_from_given(Given.of(key="C", sheet=sheet), 8.0)
    assert (key.key, key.beats_s, key.chords) == ("C major", sheet.beats_s, sheet.chords)
    tempo = sheet_from_given(Given.of(bpm=60, sheet=sheet), 8.0)
    assert (tempo.tempo_bpm, tempo.downbeats_s, tempo.chords) == (60.0, (0.0, 4.0, 8.0), sheet.chords)
    meter = sheet_from_given(Given.of(meter="3/4", sheet=sheet), 8.0)
    assert (meter.beats_s, meter.downbeats_s) == (sheet.beats_s, sheet.beats_s[::3])
    chords = sheet_from_given(Given.of(chords="C", sheet=sheet), 8.0)
    assert chords.chords == (ChordSpan(0.3, "C:maj"),)


def test_another_meter_counts_from_the_first_downbeat() -> None:
    sheet = LeadSheet(6.0, beats_s=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0), downbeats_s=(1.0, 5.0))
    assert sheet_from_given(Given.of(meter="3/4", sheet=sheet), 6.0).downbeats_s == (1.0, 4.0)


@given(sheet=sheets())
def test_a_sheet_for_its_own_song_stays_as_it_is(sheet: LeadSheet) -> None:
    assert sheet_from_given(Given(sheet=sheet), sheet.duration_s) is sheet


@given(sheet=sheets(), share=st.floats(0.01, 2))
def test_a_sheet_for_another_song_is_cut_or_goes_on(sheet: LeadSheet, share: float) -> None:
    duration_s = sheet.duration_s * share
    made = fitted(sheet, duration_s)
    assert made.duration_s == duration_s
    assert made.beats_s == tuple(time_s for time_s in sheet.beats_s if time_s <= duration_s)
    assert made.chords == tuple(chord for chord in sheet.chords if chord.start_s <= duration_s)
    assert all(note.start_s + note.duration_s <= duration_s * (1 + 1e-12) or share >= 1 for note in made.melody)


def test_a_note_over_the_end_is_cut() -> None:
    assert fitted(LeadSheet(9.0, melody=(Note(1.0, 3.0, 60.0),)), 2.0).melody == (Note(1.0, 1.0, 60.0),)


@pytest.mark.parametrize("duration_s, said", [(4.0, "is cut"), (20.0, "goes on"), (8.5, None)])
def test_a_sheet_of_another_length_is_noted(
    duration_s: float, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        fitted(a_sheet(), duration_s)
    assert [said in message for message in caplog.messages] == ([] if said is None else [True])  # type: ignore[operator]
