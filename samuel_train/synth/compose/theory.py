"""Keys, chords and Roman numerals: the harmony that voice and band share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_SHARP_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLAT_NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_FLAT_MAJOR_TONICS = frozenset({1, 3, 5, 8, 10})  # Db Eb F Ab Bb, and the minors relative to them
_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")


class Mode(str, Enum):
    """The two modes songs are written in; minor is natural minor with a major dominant."""

    MAJOR = "major"
    MINOR = "minor"


_SCALES = {Mode.MAJOR: (0, 2, 4, 5, 7, 9, 11), Mode.MINOR: (0, 2, 3, 5, 7, 8, 10)}


class Quality(str, Enum):
    """A chord's kind; the value is its suffix in a chord name. Procedural songs use those up to ``SUSPENDED``."""

    MAJOR = ""
    MINOR = "m"
    DOMINANT = "7"
    MAJOR_SEVENTH = "maj7"
    MINOR_SEVENTH = "m7"
    DIMINISHED = "dim"
    HALF_DIMINISHED = "m7b5"
    SUSPENDED = "sus4"
    SUSPENDED_SECOND = "sus2"
    AUGMENTED = "aug"
    DIMINISHED_SEVENTH = "dim7"
    MINOR_MAJOR_SEVENTH = "mmaj7"
    SIXTH = "6"
    MINOR_SIXTH = "m6"
    NINTH = "9"
    MAJOR_NINTH = "maj9"
    MINOR_NINTH = "m9"
    FIFTH = "5"
    NONE = "N"
    """Of :data:`NO_CHORD` alone."""


_INTERVALS = {
    Quality.MAJOR: (0, 4, 7),
    Quality.MINOR: (0, 3, 7),
    Quality.DOMINANT: (0, 4, 7, 10),
    Quality.MAJOR_SEVENTH: (0, 4, 7, 11),
    Quality.MINOR_SEVENTH: (0, 3, 7, 10),
    Quality.DIMINISHED: (0, 3, 6),
    Quality.HALF_DIMINISHED: (0, 3, 6, 10),
    Quality.SUSPENDED: (0, 5, 7),
    Quality.SUSPENDED_SECOND: (0, 2, 7),
    Quality.AUGMENTED: (0, 4, 8),
    Quality.DIMINISHED_SEVENTH: (0, 3, 6, 9),
    Quality.MINOR_MAJOR_SEVENTH: (0, 3, 7, 11),
    Quality.SIXTH: (0, 4, 7, 9),
    Quality.MINOR_SIXTH: (0, 3, 7, 9),
    Quality.NINTH: (0, 4, 7, 10, 2),
    Quality.MAJOR_NINTH: (0, 4, 7, 11, 2),
    Quality.MINOR_NINTH: (0, 3, 7, 10, 2),
    Quality.FIFTH: (0, 7),
    Quality.NONE: (),
}


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
    """A root, a quality, and perhaps another bass."""

    root: int
    """Pitch class of the root, 0 (C) .. 11 (B)."""
    quality: Quality
    bass: int | None = None
    """Pitch class that is played lowest, if it is not the root."""

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord, from the root up; another bass is none of them unless it is a chord tone."""
        return tuple((self.root + interval) % 12 for interval in _INTERVALS[self.quality])

    @property
    def lowest(self) -> int:
        """Pitch class of the bass."""
        return self.root if self.bass is None else self.bass

    @property
    def fifth(self) -> int:
        """Pitch class of the fifth, be it perfect or not."""
        return self.pitch_classes[1 if self.quality is Quality.FIFTH else 2]

    def name(self, key: Key) -> str:
        """The chord's name spelled in a key, such as ``F#m7`` or ``C/E``; ``N`` of no chord."""
        if self == NO_CHORD:
            return self.quality.value
        return key.spell(self.root) + self.quality.value + ("" if self.bass is None else f"/{key.spell(self.bass)}")

    @classmethod
    def from_name(cls, name: str) -> Chord:
        """Read back a chord name.

        Raises:
            ValueError: if the name is not a note name followed by a known suffix, and perhaps a slash and a note name.
        """
        if name == Quality.NONE.value:
            return NO_CHORD
        above, slash, below = name.partition("/")
        root, suffix = _note_and_suffix(above)
        bass, rest = _note_and_suffix(below) if slash else (None, "")
        if rest or suffix == Quality.NONE.value:
            raise ValueError(f"{name!r} is no chord's name")
        return cls(root, Quality(suffix), None if bass == root else bass)

    def transposed(self, semitones: int) -> Chord:
        """The chord so many semitones higher."""
        if self == NO_CHORD:
            return self
        bass = None if self.bass is None else (self.bass + semitones) % 12
        return Chord((self.root + semitones) % 12, self.quality, bass)


NO_CHORD = Chord(0, Quality.NONE)
"""Where nobody plays but the drums: N.C. in scores, ``N`` by name."""


def _note_and_suffix(name: str) -> tuple[int, str]:
    letters = name[:2] if name[1:2] in ("#", "b") else name[:1]
    names = _FLAT_NAMES if letters.endswith("b") else _SHARP_NAMES
    if letters not in names:
        raise ValueError(f"{name!r} does not begin with a note name")
    return names.index(letters), name[len(letters) :]


def chord_of(numeral: str, key: Key, sevenths: bool) -> Chord:
    """The chord a Roman numeral stands for in a key, with its seventh if asked.

    Capitals are major, small letters minor, ``o`` diminished, ``b`` in front a semitone lower. ``V/ii`` is the
    secondary dominant of ii: a major chord a fifth above it, always with its minor seventh.

    Raises:
        ValueError: for anything else.
    """
    if "/" in numeral:
        dominant, target = numeral.split("/")
        if dominant != "V":
            raise ValueError(f"{numeral!r}: only V can be borrowed from another degree")
        return Chord((chord_of(target, key, sevenths=False).root + 7) % 12, Quality.DOMINANT)
    flat, letters = numeral.startswith("b"), numeral.removeprefix("b").removesuffix("o")
    degree = _NUMERALS.index(letters.upper())
    root = (key.scale[degree] - flat) % 12
    if numeral.endswith("o"):
        return Chord(root, Quality.HALF_DIMINISHED if sevenths else Quality.DIMINISHED)
    minor = letters.islower()
    if not sevenths:
        return Chord(root, Quality.MINOR if minor else Quality.MAJOR)
    if minor:
        return Chord(root, Quality.MINOR_SEVENTH)
    dominant_degree = letters == "V" or (letters == "VII" and (key.mode is Mode.MINOR or flat))
    return Chord(root, Quality.DOMINANT if dominant_degree else Quality.MAJOR_SEVENTH)


def melody_scale(key: Key, chord: Chord) -> frozenset[int]:
    """Pitch classes a melody may use over a chord: the key's scale, bent to the chord where they differ."""
    scale = set(key.scale)
    for tone in chord.pitch_classes:
        if tone in scale:
            continue
        scale.add(tone)  # and the natural neighbour that it replaces goes: F# for F over D7 in C
        near = [n for n in ((tone - 1) % 12, (tone + 1) % 12) if n in scale and n not in chord.pitch_classes]
        scale -= set(near[:1])
    return frozenset(scale)
