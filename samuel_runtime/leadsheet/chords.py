"""Names of chords and keys: those of Harte et al. (2005) and those on a musician's lead sheet, as pitch classes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from samuel_runtime.errors import UserError

_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_FLAT_MAJORS = frozenset({1, 3, 5, 8, 10})
_DEGREES = {"1": 0, "2": 2, "3": 4, "4": 5, "5": 7, "6": 9, "7": 11, "9": 14, "11": 17, "13": 21}

QUALITIES = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "minmaj7": (0, 3, 7, 11),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "aug": (0, 4, 8),
    "sus4": (0, 5, 7),
    "sus2": (0, 2, 7),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 2),
    "maj9": (0, 4, 7, 11, 2),
    "min9": (0, 3, 7, 10, 2),
    "5": (0, 7),
}
"""Harte's shorthands and their intervals above the root."""

_MUSICIANS = {
    "": "maj", "M": "maj", "m": "min", "-": "min", "mi": "min", "7": "7", "dom7": "7",
    "maj7": "maj7", "M7": "maj7", "ma7": "maj7", "Δ": "maj7", "Δ7": "maj7", "m7": "min7", "-7": "min7", "mi7": "min7",
    "mmaj7": "minmaj7", "mM7": "minmaj7", "m(maj7)": "minmaj7", "dim": "dim", "o": "dim", "°": "dim", "dim7": "dim7",
    "o7": "dim7", "°7": "dim7", "m7b5": "hdim7", "ø": "hdim7", "ø7": "hdim7", "aug": "aug", "+": "aug",
    "sus4": "sus4", "sus": "sus4", "sus2": "sus2", "6": "maj6", "m6": "min6", "9": "9", "maj9": "maj9", "m9": "min9",
    "5": "5",
}  # fmt: skip
"""What stands on lead sheets, and Harte's shorthand for it."""
_SYMBOLS = {harte: symbol for symbol, harte in reversed(_MUSICIANS.items())}
"""Of several symbols the first."""

_ROOT = re.compile(r"[A-G][#b]{0,2}")
_CHORD = re.compile(rf"({_ROOT.pattern})(?::([^/]*)|([^/:]*))(?:/(\S+))?")
_KEY = re.compile(r"([A-G][#b]?)\s*[: ]?\s*(major|maj|minor|min|m)?")


@dataclass(frozen=True)
class Chord:
    """A chord's pitch classes, C = 0 .. B = 11."""

    root: int | None
    """None of ``N``, no chord, and of ``X``, an unknown one."""
    quality: str = "maj"
    """One of ``QUALITIES``."""
    bass: int | None = None
    """Pitch class in the bass if it is not the root."""
    known: bool = True
    """False of ``X``."""

    @classmethod
    def parse(cls, name: str) -> Chord:
        """Read a name in either notation, such as ``Am7/G`` or ``A:min7/b7``.

        Raises:
            UserError: it names no chord.
        """
        if name in ("N", "NC", "N.C."):
            return cls(None)
        if name == "X":
            return cls(None, known=False)
        found = _CHORD.fullmatch(name)
        if found:
            letters, harte, musicians, below = found.groups()
            root = pitch_class(letters)
            quality = harte if harte is not None else _MUSICIANS.get(musicians)
            bass = None if below is None else _bass(root, below)
            if quality in QUALITIES and (below is None or bass is not None):
                return cls(root, quality, None if bass == root else bass)
        raise UserError(f"{name!r} is no chord; write it as Am, F#m7, Bb, G7/B or as A:min, F#:min7, Bb:maj, G:7/3")

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes from the root up; none without a root."""
        if self.root is None:
            return ()
        return tuple((self.root + interval) % 12 for interval in QUALITIES[self.quality])

    def named(self, key: Key | None = None) -> str:
        """The name in Harte's notation, spelled in a key."""
        if self.root is None:
            return "N" if self.known else "X"
        name = f"{spelled(self.root, key)}:{self.quality}"
        if self.bass is None:
            return name
        above = (self.bass - self.root) % 12
        degrees = {value % 12: degree for degree, value in _DEGREES.items() if degree in "1234567"}
        return f"{name}/{degrees[above] if above in degrees else 'b' + degrees[(above + 1) % 12]}"


@dataclass(frozen=True)
class Key:
    """A tonic and a mode."""

    tonic: int
    """Pitch class, C = 0."""
    minor: bool

    @classmethod
    def parse(cls, name: str) -> Key:
        """Read a name such as ``A minor``, ``Bb major``, ``F#m`` or ``C``.

        Raises:
            UserError: it names no key.
        """
        found = _KEY.fullmatch(name.strip())
        if found is None:
            raise UserError(f"{name!r} is no key; write it as C, A minor, F#m or Bb major")
        return cls(pitch_class(found[1]), (found[2] or "major") in ("minor", "min", "m"))

    @property
    def flats(self) -> bool:
        """Whether its signature has flats."""
        return (self.tonic + (3 if self.minor else 0)) % 12 in _FLAT_MAJORS

    def __str__(self) -> str:
        return f"{spelled(self.tonic, self)} {'minor' if self.minor else 'major'}"


def harte(name: str) -> str:
    """A chord's name in either notation as Harte writes it; the root keeps its spelling.

    Raises:
        UserError: it names no chord.
    """
    chord = Chord.parse(name)
    letters = _ROOT.match(name)
    if chord.root is None or letters is None:
        return chord.named()
    return letters[0] + chord.named().removeprefix(spelled(chord.root))


def symbol(name: str) -> str:
    """A chord's name in either notation as musicians write it, such as ``Am7/G``; the root keeps its spelling.

    Raises:
        UserError: it names no chord.
    """
    chord = Chord.parse(name)
    letters = _ROOT.match(name)
    if chord.root is None or letters is None:
        return "N.C." if chord.known else "X"
    root = letters[0] + _SYMBOLS[chord.quality]
    if chord.bass is None:
        return root
    scale = Key(chord.root, "min" in chord.quality or "dim" in chord.quality)
    return f"{root}/{spelled(chord.bass, scale)}"


def pitch_class(letters: str) -> int:
    """0 .. 11 of a note's name without its octave: a letter, then sharps or flats."""
    return (_NATURALS[letters[0]] + letters.count("#") - letters[1:].count("b")) % 12


def spelled(pitch: int, key: Key | None = None) -> str:
    """Name of a pitch class in a key."""
    return (_FLATS if key is not None and key.flats else _SHARPS)[pitch % 12]


def _bass(root: int, below: str) -> int | None:
    """Pitch class of what stands behind the slash: a note, or Harte's degree of the scale above the root."""
    if _ROOT.fullmatch(below):
        return pitch_class(below)
    found = re.fullmatch(r"([#b]*)(\d+)", below)
    if found is None or found[2] not in _DEGREES:
        return None
    return (root + _DEGREES[found[2]] + found[1].count("#") - found[1].count("b")) % 12
