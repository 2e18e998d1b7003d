"""What a style is: the vocabulary in which :mod:`samuel_train.synth.compose.style_book` writes bars.

Every line is one bar, a character per sixteenth note.
Drum lines: ``X`` accent, ``x`` stroke, ``o`` ghost stroke, ``.`` rest.
Bass lines: ``R`` root, ``3`` third, ``5`` fifth, ``8`` octave, ``a`` a step below the next root; ``.`` holds, ``-``
rests.
Comping lines: ``X`` accented chord, ``x`` chord, ``u`` chord struck from above, digits single voices from the lowest
up; ``.`` and ``-`` as above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from samuel_train.synth.compose.meter import COMMON, Meter


class Section(str, Enum):
    """Parts of a song; the voice sings in verses, choruses and bridges."""

    INTRO = "intro"
    VERSE = "verse"
    CHORUS = "chorus"
    BRIDGE = "bridge"
    BREAK = "break"

    @property
    def sung(self) -> bool:
        """Whether the voice sings here."""
        return self in (Section.VERSE, Section.CHORUS, Section.BRIDGE)


class Voicing(str, Enum):
    """How an instrument lays out a chord."""

    CLOSE = "close"
    """Four voices around middle C, moving little from chord to chord."""
    HANDS = "hands"
    """The same above a root in the left hand."""
    STRUMMED = "strummed"
    """Five or six strings of a guitar."""
    POWER = "power"
    """Root, fifth and octave, low."""
    HIGH = "high"
    """Three voices an octave above the others, for pads and strings."""


class Program(int, Enum):
    """General MIDI programs that are used here, counted from 0."""

    GRAND_PIANO = 0
    BRIGHT_PIANO = 1
    ELECTRIC_PIANO = 4
    FM_PIANO = 5
    MUSIC_BOX = 10
    VIBRAPHONE = 11
    DRAWBAR_ORGAN = 16
    ROCK_ORGAN = 18
    ACCORDION = 21
    NYLON_GUITAR = 24
    STEEL_GUITAR = 25
    JAZZ_GUITAR = 26
    CLEAN_GUITAR = 27
    MUTED_GUITAR = 28
    OVERDRIVEN_GUITAR = 29
    DISTORTION_GUITAR = 30
    UPRIGHT_BASS = 32
    FINGERED_BASS = 33
    PICKED_BASS = 34
    SLAP_BASS = 36
    SYNTH_BASS = 38
    STRINGS = 48
    SLOW_STRINGS = 49
    BRASS = 61
    SAW_LEAD = 81
    WARM_PAD = 89
    POLY_SYNTH = 90


class Kit(int, Enum):
    """Drum kits, as programs of the drum channel."""

    STANDARD = 0
    ROOM = 8
    POWER = 16
    ELECTRONIC = 24
    ANALOGUE = 25
    JAZZ = 32
    BRUSH = 40


class Drum(int, Enum):
    """What can be struck, as General MIDI notes."""

    KICK = 36
    RIM = 37
    SNARE = 38
    CLAP = 39
    CLOSED_HAT = 42
    LOW_TOM = 45
    PEDAL_HAT = 44
    OPEN_HAT = 46
    MIDDLE_TOM = 47
    CRASH = 49
    HIGH_TOM = 50
    RIDE = 51
    TAMBOURINE = 54
    CONGA = 63
    SHAKER = 82


Groove = Mapping[Drum, str]
"""Drum lines that belong together."""


@dataclass(frozen=True)
class Layer:
    """A chord instrument of a style."""

    programs: tuple[Program, ...]
    """A song picks one."""
    lines: tuple[str, ...]
    """A song picks one for verses and one for choruses."""
    voicing: Voicing = Voicing.CLOSE
    gain_db: float = 0.0
    chance: float = 1.0
    """How often a song of the style has it."""
    sections: frozenset[Section] = frozenset(Section)
    """Where it plays."""
    strum_s: float = 0.004
    """Time from one voice of a chord to the next."""


@dataclass(frozen=True)
class Style:
    """A style of accompaniment: tempo, meter, patterns and instruments."""

    name: str
    tempo_bpm: tuple[float, float]
    """Slowest and fastest tempo."""
    grooves: tuple[Groove, ...]
    """A song picks one."""
    lift: Groove
    """Lines that replace those of the groove in choruses."""
    kits: tuple[Kit, ...]
    bass: tuple[str, ...]
    basses: tuple[Program, ...]
    layers: tuple[Layer, ...]
    meter: Meter = COMMON
    sevenths: bool = False
    """Whether chords carry their sevenths."""
    jazz: bool = False
    """Whether harmony moves in fifths."""
    swing: float = 0.0
    """Delay of the middle of a beat, in beats."""
    room: float = 0.4
    """How much reverberation, 0 .. 1."""
    drum_gain_db: float = 0.0
