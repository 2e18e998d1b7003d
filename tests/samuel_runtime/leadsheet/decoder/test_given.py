"""The user's word holds, and the rest is found on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import FRAME_S, Activations
from samuel_runtime.leadsheet.chords import Key
from samuel_runtime.leadsheet.decoder import decode
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.leadsheet.sheet import LeadSheet, Meter, Note
from tests.support.heard import NOISY, even_sheet, heard

SONG = ("A:min", "F:maj", "C:maj", "G:maj")


def nothing(duration_s: float) -> Activations:
    frames = int(np.ceil(duration_s / FRAME_S))
    return Activations(*[np.zeros((frames, *rest), np.float32) for rest in ((), (), (12,), (12,), (24,))])


@pytest.mark.parametrize("bpm", [33.0, 92.0, 300.0])
def test_a_given_tempo_is_a_click(bpm: float) -> None:
    truth = even_sheet(bpm, 40, 0.9 * 60 / bpm)
    found = decode(heard(truth, replace(NOISY, least_peak=0.5)), 40, Given(bpm=bpm))
    assert len(found.beats_s) == len(truth.beats_s)
    np.testing.assert_allclose(np.diff(found.beats_s), 60 / bpm, atol=1e-9)
    np.testing.assert_allclose(found.beats_s, truth.beats_s, atol=0.015)
    assert found.downbeats_s == tuple(found.beats_s[found.beats_s.index(found.downbeats_s[0]) :: 4])


def test_a_click_lies_where_the_user_says_and_goes_back_to_the_start() -> None:
    found = decode(heard(even_sheet(92, 30)), 30, Given(bpm=120.0, first_beat_s=1.7))
    np.testing.assert_allclose(found.beats_s, np.arange(0.2, 30, 0.5), atol=1e-9)
    assert found.confidence.beats == 1


def test_a_known_beat_moves_the_others() -> None:
    """The activations say nothing between two phases."""
    truth, between = even_sheet(100, 30, 0.2), even_sheet(100, 30, 0.5)
    both = Activations(
        *[
            np.maximum(getattr(heard(truth), name), getattr(heard(between), name))
            for name in ("beat", "downbeat", "tones", "root", "key")
        ]
    )
    for known_s in (6.2, 6.5, 6.52):
        found = decode(both, 30, Given(first_beat_s=known_s))
        assert np.abs(np.array(found.beats_s) - known_s).min() < 0.003


@pytest.mark.parametrize("meter", Meter)
def test_a_given_meter_is_the_only_one(meter: Meter) -> None:
    found = decode(heard(even_sheet(100, 30, meter=Meter.WALTZ), NOISY), 30, Given(meter=meter))
    assert found.meter is meter
    places = [found.beats_s.index(time_s) for time_s in found.downbeats_s]
    assert set(np.diff(places)) == {meter.beats}


def test_beats_of_a_sheet_stay_and_bars_are_found_on_them() -> None:
    truth = even_sheet(100, 30, meter=Meter.WALTZ, chords=SONG, shift=2)
    uneven = tuple(time_s + 0.04 * (index % 2) for index, time_s in enumerate(truth.beats_s))
    found = decode(heard(truth), 30, Given(sheet=LeadSheet(30, beats_s=uneven)))
    assert found.beats_s == uneven
    assert found.meter is Meter.WALTZ
    assert found.downbeats_s == uneven[2::3]
    assert [chord.name for chord in found.chords[1:5]] == list(SONG)


def test_a_whole_sheet_comes_back_as_it_was() -> None:
    truth = replace(even_sheet(100, 30, chords=SONG, key="A minor"), melody=(Note(1, 0.5, 60),))
    assert decode(heard(even_sheet(77, 30), NOISY), 30, Given(sheet=truth)) == truth


def test_what_was_found_is_found_again_when_it_is_given() -> None:
    activations = heard(even_sheet(100, 30, chords=SONG), NOISY)
    found = decode(activations, 30)
    again = decode(activations, 30, Given(sheet=found))
    assert replace(again, confidence=found.confidence) == found


def test_a_word_of_its_own_prevails_over_the_sheet() -> None:
    sheet = even_sheet(100, 30, chords=SONG, key="A minor")
    given = Given(bpm=80, key=Key.parse("C"), chords=(("D:min", 0),), sheet=sheet)
    found = decode(heard(sheet), 30, given)
    assert found.key == "C major"
    assert [chord.name for chord in found.chords] == ["D:min"]
    np.testing.assert_allclose(np.diff(found.beats_s), 0.75)


def test_chords_of_a_sheet_tell_where_beats_are() -> None:
    truth = even_sheet(100, 30, chords=SONG)
    found = decode(nothing(30), 30, Given(sheet=LeadSheet(30, chords=truth.chords)))
    assert found.chords == truth.chords
    nearest = np.abs(np.array([chord.start_s for chord in truth.chords])[:, None] - found.beats_s).min(axis=1)
    assert nearest.max() < 0.03


def test_given_chords_are_repeated_from_the_first_bar_line() -> None:
    truth = even_sheet(100, 30, 0.3, shift=1)
    chords = (("A:min", 0), ("F:maj", 2), ("G:maj", 2))
    found = decode(heard(truth), 30, Given(chords=chords))
    starts = [found.beats_s.index(chord.start_s) for chord in found.chords]
    assert starts[:7] == [1, 5, 7, 9, 13, 15, 17]
    assert [chord.name for chord in found.chords[:4]] == ["A:min", "F:maj", "G:maj", "A:min"]
    assert found.confidence.chords == 1


@pytest.mark.parametrize(
    ("names", "key"),
    [
        (("D:min", "G:min", "A:7", "D:min"), "D minor"),
        (("A:min7", "D:min7"), "A minor"),
        (("C:maj6", "F:maj6"), "C major"),  # the same tones on other roots
    ],
)
def test_the_key_of_given_chords_is_found(names: tuple[str, ...], key: str) -> None:
    chords = tuple((name, 0) for name in names)
    assert decode(heard(even_sheet(100, 31)), 31, Given(chords=chords)).key == key


def test_a_given_key_decides_between_chords_that_are_heard_alike() -> None:
    truth = even_sheet(100, 30)
    activations = heard(truth)
    tones, root = np.zeros_like(activations.tones), np.zeros_like(activations.root)
    tones[:, [9, 4]] = 0.9
    tones[:, [0, 1]] = 0.45
    root[:, 9] = 0.9
    activations = replace(activations, tones=tones, root=root)
    for key, chord in (("A minor", "A:min"), ("A major", "A:maj")):
        found = decode(activations, 30, Given(key=Key.parse(key)))
        assert found.key == key
        assert [span.name for span in found.chords] == [chord]


def test_chords_that_find_no_beat_are_not_dropped_in_silence() -> None:
    chords = (("A:min", 0),)
    with pytest.raises(UserError, match="bpm"):
        decode(nothing(30), 30, Given(chords=chords))
    assert decode(nothing(30), 30, Given(chords=chords, bpm=90)).chords[0].name == "A:min"
