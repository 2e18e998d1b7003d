"""Names of chords and keys in both notations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.chords import QUALITIES, Chord, Key, harte, pitch_class, spelled, symbol

CHORDS = st.builds(
    lambda root, quality, bass: Chord(root, quality, None if bass == root else bass),
    st.integers(0, 11),
    st.sampled_from(sorted(QUALITIES)),
    st.none() | st.integers(0, 11),
)
KEYS = st.builds(Key, st.integers(0, 11), st.booleans())
LETTERS = st.sampled_from([letter + sign for letter in "CDEFGAB" for sign in ("", "#", "b", "##", "bb")])


@given(chord=CHORDS, key=st.none() | KEYS)
def test_a_chord_survives_both_notations(chord: Chord, key: Key | None) -> None:
    assert Chord.parse(chord.named(key)) == chord
    assert Chord.parse(symbol(chord.named(key))) == chord


@given(chord=CHORDS, letters=LETTERS)
def test_the_root_keeps_its_spelling(chord: Chord, letters: str) -> None:
    name = f"{letters}:{chord.quality}"
    assert harte(name) == name
    assert symbol(name).startswith(letters)
    assert harte(symbol(name)) == name
    assert Chord.parse(name).root == pitch_class(letters)


@given(key=KEYS)
def test_a_key_survives_its_name(key: Key) -> None:
    assert Key.parse(str(key)) == key


@pytest.mark.parametrize(
    "musicians, expected, tones",
    [
        ("C", "C:maj", (0, 4, 7)),
        ("Am", "A:min", (9, 0, 4)),
        ("F#m7", "F#:min7", (6, 9, 1, 4)),
        ("Bbmaj7", "Bb:maj7", (10, 2, 5, 9)),
        ("G7/B", "G:7/3", (7, 11, 2, 5)),
        ("Am/C", "A:min/b3", (9, 0, 4)),
        ("Bm7b5", "B:hdim7", (11, 2, 5, 9)),
        ("Esus4", "E:sus4", (4, 9, 11)),
        ("N.C.", "N", ()),
        ("X", "X", ()),
    ],
)
def test_musicians_names(musicians: str, expected: str, tones: tuple[int, ...]) -> None:
    assert harte(musicians) == expected
    assert symbol(expected) == musicians
    assert Chord.parse(musicians).pitch_classes == tones


def test_a_bass_may_be_a_note_or_a_degree() -> None:
    assert Chord.parse("C/E") == Chord.parse("C:maj/3") == Chord(0, "maj", 4)
    assert Chord.parse("C/C") == Chord(0)
    assert symbol("F:maj/4") == "F/Bb"


def test_no_chord_is_known_and_an_unknown_one_is_not() -> None:
    assert Chord.parse("N").known and not Chord.parse("X").known


@pytest.mark.parametrize(
    "name", ["", "H", "a", "Hm7", "Cfoo", "C:foo", "C/", "C/H", "C/b99", "C:maj/0", "C E", "A:min:2"]
)
def test_what_is_no_chord_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="is no chord"):
        Chord.parse(name)


@given(text=st.text(max_size=8) | st.from_regex(r"[A-H][#b:/m0-9]{0,6}", fullmatch=True))
def test_any_text_is_a_chord_or_refused(text: str) -> None:
    try:
        chord = Chord.parse(text)
    except UserError:
        return
    assert Chord.parse(chord.named()) == chord


@pytest.mark.parametrize(
    "name, expected",
    [("C", "C major"), ("am", None), ("Am", "A minor"), ("F#m", "F# minor"), ("Bb major", "Bb major"),
     ("A#", "Bb major"), ("Eb:min", "D# minor"), ("C minor ", "C minor"), ("H", None), ("", None)],
)  # fmt: skip
def test_keys(name: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(UserError, match="is no key"):
            Key.parse(name)
    else:
        assert str(Key.parse(name)) == expected


def test_a_key_spells_its_notes() -> None:
    assert [spelled(10, Key.parse(name)) for name in ("F", "D minor", "G", "E minor")] == ["Bb", "Bb", "A#", "A#"]
    assert spelled(10) == "A#"
