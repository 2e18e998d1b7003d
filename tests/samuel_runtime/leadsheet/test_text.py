"""Lead sheets to be read by people."""

from __future__ import annotations

import pytest
from hypothesis import given

from samuel_runtime.leadsheet.given import Given
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet
from samuel_runtime.leadsheet.stated import sheet_from_given
from samuel_runtime.leadsheet.text import line_of, page_of
from tests.support.runtime.lead_sheets import a_sheet, sheets


@pytest.mark.parametrize(
    "said, duration_s, line",
    [
        (
            {"bpm": 92.1, "key": "Am", "chords": "Am:2 F:2 C:2 G:2"},
            5.0,
            "92.1 bpm, 4/4, A minor: | Am . F . | C . G . |",
        ),
        ({"bpm": 60, "meter": "3/4", "chords": "Am F"}, 5.5, "60.0 bpm, 3/4: | Am . . | F . . |"),
        ({"bpm": 60, "meter": "6/8", "chords": "Am"}, 3.5, "60.0 bpm, 6/8: | Am . | . . |"),
        ({"bpm": 60}, 9.0, "60.0 bpm, 4/4"),
        ({"key": "Bb"}, 9.0, "Bb major"),
        ({}, 9.0, ""),
    ],
)
def test_one_line_tells_it(said: dict[str, object], duration_s: float, line: str) -> None:
    assert line_of(sheet_from_given(Given.of(**said), duration_s)) == line  # type: ignore[arg-type]


def test_a_long_song_is_shortened() -> None:
    line = line_of(a_sheet(60.0))
    assert line.endswith("| G7/B . . . | ...") and line.count("|") == 9


def test_what_is_sung_before_the_first_bar_comes_first() -> None:
    sheet = LeadSheet(6.0, beats_s=(0.0, 1.0, 2.0, 3.0, 4.0, 5.0), downbeats_s=(2.0,), chords=(ChordSpan(1.0, "C"),))
    assert line_of(sheet) == "60.0 bpm, 4/4: | . C | . . . . |"


def test_chords_without_bars_are_told_in_their_order() -> None:
    assert line_of(LeadSheet(9.0, chords=(ChordSpan(0.0, "A:min"), ChordSpan(2.0, "N")))) == "Am N.C."


def test_a_page_has_four_bars_a_line_with_their_time() -> None:
    lines = page_of(a_sheet(19.0)).splitlines()
    assert lines[0] == "120.0 bpm, 4/4, A minor (0:19.0)"
    assert [line.split("|")[0].strip() for line in lines[1:]] == ["0:00.3", "0:08.3", "0:16.3"]
    assert len({line.index("|", 10) for line in lines[1:3]}) == 1


@given(sheet=sheets())
def test_every_sheet_has_a_line_and_a_page(sheet: LeadSheet) -> None:
    assert "\n" not in line_of(sheet)
    assert bool(line_of(sheet)) or not (sheet.key or sheet.chords or len(sheet.beats_s) > 1)
    assert page_of(sheet).endswith("\n")
