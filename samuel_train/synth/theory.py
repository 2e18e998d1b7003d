"""Keys, chords and four-bar progressions: the harmony that voice and band share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_SHARP_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLAT_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_FLAT_MAJOR_TONICS = frozenset({1, 3, 5, 8, 10})  # Db Eb F Ab Bb, and the minors relative to them
_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")

LEADING_TONE = 11
"""Semitones from the tonic to the raised seventh, which a major dominant brings into a minor key."""


class Mode(str, Enum):
    """The two modes songs are written in; minor is natural minor with a major dominant."""

    MAJOR = "major"
    MINOR = "minor"


_SCALES = {Mode.MAJOR: (0, 2, 4, 5, 7, 9, 11), Mode.MINOR: (0, 2, 3, 5, 7, 8, 10)}


class Quality(str, Enum):
    """A chord's kind; the value is its suffix in a chord name."""

    MAJOR = ""
    MINOR = "m"
    DOMINANT = "7"
    MAJOR_SEVENTH = "maj7"
    MINOR_SEVENTH = "m7"


_INTERVALS = {
    Quality.MAJOR: (0, 4, 7),
    Quality.MINOR: (0, 3, 7),
    Quality.DOMINANT: (0, 4, 7, 10),
    Quality.MAJOR_SEVENTH: (0, 4, 7, 11),
    Quality.MINOR_SEVENTH: (0, 3, 7, 10),
}

PROGRESSIONS = {
    Mode.MAJOR: (
        "I V vi IV",
        "vi IV I V",
        "I vi IV V",
        "I iii IV V",
        "I IV vi V",
        "I IV ii V",
        "IV V iii vi",
        "ii V I vi",
        "I V IV IV",
        "I ii IV I",
    ),
    Mode.MINOR: (
        "i VI III VII",
        "i VII VI V",
        "i iv VII III",
        "i VI iv V",
        "i III VII iv",
        "i iv i V",
        "VI VII i i",
        "i v VI VII",
    ),
}
"""Common functional four-bar progressions, one chord a bar; capitals are major, small letters minor."""


@dataclass(frozen=True)
class Key:
    """A tonic and a mode."""

    tonic: int
    """Pitch class of the tonic, 0 (C) .. 11 (B)."""
    mode: Mode

    @property
    def scale(self) -> tuple[int, ...]:
        """The seven pitch classes, from the tonic up."""
        return tuple((self.tonic + step) % 12 for step in _SCALES[self.mode])

    @property
    def tonic_name(self) -> str:
        """The tonic, spelled with the flats or sharps of its key signature."""
        return self.spell(self.tonic)

    def spell(self, pitch_class: int) -> str:
        """Name of a pitch class in this key."""
        relative_major = self.tonic if self.mode is Mode.MAJOR else (self.tonic + 3) % 12
        names = _FLAT_NAMES if relative_major in _FLAT_MAJOR_TONICS else _SHARP_NAMES
        return names[pitch_class % 12]


@dataclass(frozen=True)
class Chord:
    """A root and a quality."""

    root: int
    """Pitch class of the root, 0 (C) .. 11 (B)."""
    quality: Quality

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord, from the root up."""
        return tuple((self.root + interval) % 12 for interval in _INTERVALS[self.quality])

    def name(self, key: Key) -> str:
        """The chord's name spelled in a key, such as ``F#m7``."""
        return key.spell(self.root) + self.quality.value

    @classmethod
    def from_name(cls, name: str) -> Chord:
        """Read back a chord name.

        Raises:
            ValueError: if the name is not a note name followed by a known suffix.
        """
        letters = name[:2] if name[1:2] in ("#", "b") else name[:1]
        names = _FLAT_NAMES if letters.endswith("b") else _SHARP_NAMES
        if letters not in names:
            raise ValueError(f"{name!r} does not begin with a note name")
        return cls(names.index(letters), Quality(name[len(letters) :]))


def chord_of(numeral: str, key: Key, sevenths: bool) -> Chord:
    """The chord a Roman numeral stands for in a key, with its diatonic seventh if asked.

    Raises:
        ValueError: for a numeral outside I .. VII.
    """
    degree = _NUMERALS.index(numeral.upper())
    minor = numeral.islower()
    if not sevenths:
        quality = Quality.MINOR if minor else Quality.MAJOR
    elif minor:
        quality = Quality.MINOR_SEVENTH
    elif numeral == "V" or (numeral == "VII" and key.mode is Mode.MINOR):
        quality = Quality.DOMINANT
    else:
        quality = Quality.MAJOR_SEVENTH
    return Chord(key.scale[degree], quality)


def melody_scale(key: Key, chord: Chord) -> frozenset[int]:
    """Pitch classes a melody may use over a chord: the key's scale, bent to the chord where they differ."""
    leading = (key.tonic + LEADING_TONE) % 12
    scale = set(key.scale)
    if leading in chord.pitch_classes and leading not in scale:
        scale.remove((leading - 1) % 12)
        scale.add(leading)
    return frozenset(scale)
