"""Styles as data: one bar of every part, a character per sixteenth note.

Drum lines: ``X`` accent, ``x`` stroke, ``o`` ghost stroke, ``.`` rest; ``O`` in the hat line opens the hat.
Bass lines: ``R`` root, ``5`` fifth, ``8`` octave, ``a`` a step below the next root; ``.`` holds, ``-`` rests.
Comping lines: ``X`` accented chord, ``x`` chord, digits single voices from the lowest up; ``.`` and ``-`` as above.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Comping(str, Enum):
    """The chord instruments."""

    ELECTRIC_PIANO = "electric-piano"
    PIANO = "piano"
    NYLON_GUITAR = "nylon-guitar"
    STEEL_GUITAR = "steel-guitar"
    DRIVEN_GUITAR = "driven-guitar"
    ORGAN = "organ"


class Backbeat(str, Enum):
    """What plays the snare line."""

    SNARE = "snare"
    RIM = "rim"
    RIM_IN_VERSES = "rim-in-verses"
    """The snare waits for the choruses."""


class Timekeeper(str, Enum):
    """What plays the hat line."""

    HAT = "hat"
    SHAKER = "shaker"


@dataclass(frozen=True)
class Style:
    """One recognisable way for a band to play; every line is 16 characters."""

    name: str
    tempo_bpm: tuple[float, float]
    """Slowest and fastest tempo."""
    sevenths: bool
    """Whether chords carry their sevenths."""
    swing: float
    """Delay of every second sixteenth, as a fraction of a sixteenth."""
    kick: tuple[str, ...]
    """Alternatives; a song picks one. So it is with the lines below."""
    snare: tuple[str, ...]
    hat: tuple[str, ...]
    bass: tuple[str, ...]
    comping: tuple[str, ...]
    instruments: tuple[Comping, ...]
    """Chord instruments a song picks from."""
    backbeat: Backbeat = Backbeat.SNARE
    timekeeper: Timekeeper = Timekeeper.HAT


STYLES = (
    Style(
        name="ballad",
        tempo_bpm=(70, 88),
        sevenths=False,
        swing=0.0,
        kick=("X.......x.......", "X.........x....."),
        snare=("....X.......X...",),
        hat=("x...o...x...o...", "x.o.x.o.x.o.x.o."),
        bass=("R...........5...", "R.......R.....a."),
        comping=("0.1.2.3.2.1.2.3.", "X.......x......."),
        instruments=(Comping.PIANO, Comping.ELECTRIC_PIANO, Comping.NYLON_GUITAR),
        backbeat=Backbeat.RIM_IN_VERSES,
    ),
    Style(
        name="pop",
        tempo_bpm=(92, 128),
        sevenths=False,
        swing=0.0,
        kick=("X.....x.X.......", "X.......X.x.....", "X...X...X...X..."),
        snare=("....X.......X...",),
        hat=("x.o.x.o.x.o.x.o.", "..x...x...x...x."),
        bass=("R..R..R.R..R..R.", "R.R.R.R.R.R.R.R.", "R...R...R...5.a."),
        comping=("X...x...x...x...", "X..x..x.x..x..x.", "x-x.x-x.x-x.x-x."),
        instruments=(Comping.PIANO, Comping.ELECTRIC_PIANO, Comping.STEEL_GUITAR),
    ),
    Style(
        name="bossa",
        tempo_bpm=(104, 140),
        sevenths=True,
        swing=0.0,
        kick=("x.....x.x.....x.",),
        snare=("x.....x.....x...", "x.....x...x....."),
        hat=("xoxoxoxoxoxoxoxo", "x.o.x.o.x.o.x.o."),
        bass=("R.....5.5.....R.", "R.....R.5.....5."),
        comping=("x...x...-.x...x.", "x.....x...x.x..."),
        instruments=(Comping.NYLON_GUITAR, Comping.ELECTRIC_PIANO),
        backbeat=Backbeat.RIM,
        timekeeper=Timekeeper.SHAKER,
    ),
    Style(
        name="rock",
        tempo_bpm=(108, 150),
        sevenths=False,
        swing=0.0,
        kick=("X.......X.x.....", "X.....x.X......."),
        snare=("....X.......X...",),
        hat=("X.x.X.x.X.x.X.x.", "X...X...X...X..."),
        bass=("R.R.R.R.R.R.R.R.", "R.R.R.R.R.R.5.a."),
        comping=("X.x.x.x.X.x.x.x.", "X.....x.x......."),
        instruments=(Comping.DRIVEN_GUITAR, Comping.STEEL_GUITAR, Comping.ORGAN),
    ),
    Style(
        name="funk",
        tempo_bpm=(92, 114),
        sevenths=True,
        swing=0.12,
        kick=("X..x..x...x.....", "X.x....x..x....."),
        snare=("....X..o.o..X...", "....X.......X..o"),
        hat=("XoxoXoxoXoxoXoxo", "XoxoXoxoXoxoXoO."),
        bass=("R--R-.8-R-.5-R.-", "R-R-..8-.R-.5-a-"),
        comping=("x-..x-.x-..x-...", "..x-..x-..xx-.x-"),
        instruments=(Comping.ELECTRIC_PIANO, Comping.STEEL_GUITAR, Comping.ORGAN),
    ),
    Style(
        name="reggae",
        tempo_bpm=(72, 92),
        sevenths=False,
        swing=0.1,
        kick=("........X.......", "X.......X......."),
        snare=("........X.......",),
        hat=("x.o.x.o.x.o.x.o.", "x.oox.oox.oox.oo"),
        bass=("R...R.5.-.8.5...", "R.....R.5...R.a."),
        comping=("....X-......X-..", "..x-..x-..x-..x-"),
        instruments=(Comping.ORGAN, Comping.STEEL_GUITAR, Comping.ELECTRIC_PIANO),
        backbeat=Backbeat.RIM_IN_VERSES,
    ),
    Style(
        name="folk",
        tempo_bpm=(84, 120),
        sevenths=False,
        swing=0.0,
        kick=("X.......X.......",),
        snare=("....o.......o...",),
        hat=("..x...x...x...x.", "x.o.x.o.x.o.x.o."),
        bass=("R.......5.......", "R.......5.....a."),
        comping=("0.2.1.3.0.2.1.3.", "X...x.x...x.x.x."),
        instruments=(Comping.STEEL_GUITAR, Comping.NYLON_GUITAR),
        timekeeper=Timekeeper.SHAKER,
    ),
    Style(
        name="dance",
        tempo_bpm=(112, 130),
        sevenths=False,
        swing=0.0,
        kick=("X...X...X...X...",),
        snare=("....X.......X...",),
        hat=("..O...O...O...O.", "o.X.o.X.o.X.o.X."),
        bass=("-.R.-.R.-.R.-.R.", "R-8-R-8-R-8-R-8-"),
        comping=("x..x..x...x..x..", "X..-..X..-..X.-."),
        instruments=(Comping.PIANO, Comping.ORGAN, Comping.ELECTRIC_PIANO),
    ),
)
