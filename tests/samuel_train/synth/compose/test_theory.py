"""Keys, chords and Roman numerals."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.leadsheet.chords import Chord as SheetChord
from samuel_train.synth.compose.progressions import JAZZ_PROGRESSIONS, PROGRESSIONS
from samuel_train.synth.compose.theory import NO_CHORD, Chord, Key, Mode, Quality, chord_of, melody_scale

keys = st.builds(Key, st.integers(0, 11), st.sampled_from(Mode))
chords = st.one_of(
    st.just(NO_CHORD),
    st.builds(
        Chord.transposed,
        st.builds(
            Chord,
            st.just(0),
            st.sampled_from(Quality).filter(lambda quality: quality is not Quality.NONE),
            st.none() | st.integers(1, 11),
        ),
        st.integers(0, 11),
    ),
)
ALL = [
    (mode, progression)
    for book in (PROGRESSIONS, JAZZ_PROGRESSIONS)
    for mode, progressions in book.items()
    for progression in progressions
]


@given(chords, keys)
def test_chord_names_read_back(chord: Chord, key: Key) -> None:
    assert Chord.from_name(chord.name(key)) == chord


@pytest.mark.parametrize("name", ["", "H", "Cmaj", "c", "C##", "CN", "C/", "C/H", "C/Em"])
def test_unknown_chord_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        Chord.from_name(name)


@pytest.mark.parametrize("bass", [None, 3])
@pytest.mark.parametrize("quality", [quality for quality in Quality if quality is not Quality.NONE])
def test_chord_names_are_those_of_lead_sheets(quality: Quality, bass: int | None) -> None:
    chord = Chord(8, quality, bass)
    sheet = SheetChord.parse(chord.name(Key(5, Mode.MAJOR)))
    assert (sheet.pitch_classes, sheet.bass) == (chord.pitch_classes, chord.bass)
    assert SheetChord.parse(NO_CHORD.name(Key(5, Mode.MAJOR))).root is None


@given(chords, st.integers(-24, 24))
def test_transposition_moves_every_tone(chord: Chord, semitones: int) -> None:
    moved = chord.transposed(semitones)
    assert moved.pitch_classes == tuple((tone + semitones) % 12 for tone in chord.pitch_classes)
    assert chord == NO_CHORD or moved.lowest == (chord.lowest + semitones) % 12


def test_known_chords_have_their_tones() -> None:
    assert set(Chord.from_name("Am").pitch_classes) == {9, 0, 4}
    assert set(Chord.from_name("Bb7").pitch_classes) == {10, 2, 5, 8}
    assert set(Chord.from_name("Bm7b5").pitch_classes) == {11, 2, 5, 9}
    assert Key(10, Mode.MAJOR).tonic_name == "Bb"
    assert Key(7, Mode.MINOR).spell(10) == "Bb"
    assert Key(6, Mode.MINOR).tonic_name == "F#"


@pytest.mark.parametrize(
    ("numeral", "mode", "sevenths", "name"),
    [
        ("ii", Mode.MAJOR, True, "Dm7"),
        ("V", Mode.MAJOR, True, "G7"),
        ("V", Mode.MINOR, False, "G"),
        ("IV", Mode.MAJOR, True, "Fmaj7"),
        ("V/ii", Mode.MAJOR, False, "A7"),
        ("V/V", Mode.MAJOR, False, "D7"),
        ("bVII", Mode.MAJOR, False, "A#"),
        ("iio", Mode.MINOR, True, "Dm7b5"),
        ("iio", Mode.MINOR, False, "Ddim"),
        ("VII", Mode.MINOR, True, "Bb7"),
    ],
)
def test_numerals_in_c(numeral: str, mode: Mode, sevenths: bool, name: str) -> None:
    key = Key(0, mode)
    assert chord_of(numeral, key, sevenths).name(key) == name


@pytest.mark.parametrize("numeral", ["", "VIII", "X", "IV/V", "V/"])
def test_unknown_numerals_are_refused(numeral: str) -> None:
    with pytest.raises(ValueError):
        chord_of(numeral, Key(0, Mode.MAJOR), sevenths=False)


@pytest.mark.parametrize(("mode", "progression"), ALL)
@pytest.mark.parametrize("sevenths", [False, True])
def test_progressions_are_four_bars_near_their_key(mode: Mode, progression: str, sevenths: bool) -> None:
    key = Key(0, mode)
    bars = progression.split()
    assert len(bars) == 4
    for numeral in chain.from_iterable(bar.split(":") for bar in bars):
        chord = chord_of(numeral, key, sevenths)
        scale = melody_scale(key, chord)
        assert set(chord.pitch_classes) <= scale
        assert len(set(key.scale) & scale) >= 5
        assert len(set(chord.pitch_classes) - set(key.scale)) <= 2


def test_melody_bends_to_a_secondary_dominant() -> None:
    assert melody_scale(Key(0, Mode.MAJOR), Chord.from_name("D7")) == {0, 2, 4, 6, 7, 9, 11}
