"""The plan of a song: key, tempo, style, sections and the chord of every half bar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from samuel_train.synth.styles import STYLES, Style
from samuel_train.synth.theory import PROGRESSIONS, Chord, Key, Mode, chord_of

BEATS_PER_BAR = 4
BARS_PER_PROGRESSION = 4


class Section(str, Enum):
    """Parts of a song; the voice sings in verses and choruses."""

    INTRO = "intro"
    VERSE = "verse"
    CHORUS = "chorus"
    BREAK = "break"

    @property
    def sung(self) -> bool:
        """Whether the voice sings here."""
        return self in (Section.VERSE, Section.CHORUS)


@dataclass(frozen=True)
class Bar:
    """One bar of the plan."""

    section: Section
    position: int
    """Bar within its progression, 0 .. 3."""
    visit: int
    """How many progressions of this section came before."""
    chords: tuple[Chord, Chord]
    """The chord of each half."""


@dataclass(frozen=True)
class Plan:
    """Everything voice and band agree on before they play."""

    key: Key
    style: Style
    tempo_bpm: float
    start_s: float
    """Time of the first beat."""
    bars: tuple[Bar, ...]

    @property
    def beat_s(self) -> float:
        """Length of a beat."""
        return 60.0 / self.tempo_bpm

    def time_s(self, beat: float) -> float:
        """When a beat, counted from the first one, is played."""
        return self.start_s + beat * self.beat_s


def plan_song(rng: np.random.Generator, duration_s: float) -> Plan:
    """Draw a song that fills ``duration_s``; its last section may run past that end."""
    key = Key(int(rng.integers(12)), Mode.MAJOR if rng.random() < 0.55 else Mode.MINOR)
    style = STYLES[rng.integers(len(STYLES))]
    tempo_bpm = round(float(rng.uniform(*style.tempo_bpm)), 2)
    start_s = round(float(rng.uniform(0.05, 0.4)), 3)
    bars_needed = math.ceil(max(duration_s - start_s, 0.0) * tempo_bpm / 60 / BEATS_PER_BAR)
    progressions = _choose_progressions(rng, key, style)
    bars: list[Bar] = []
    visits = dict.fromkeys(Section, 0)
    for section, length in _sections(rng, bars_needed):
        for index in range(length):
            position = index % BARS_PER_PROGRESSION
            chords = progressions[section][position]
            bars.append(Bar(section, position, visits[section], chords))
            if position == BARS_PER_PROGRESSION - 1:
                visits[section] += 1
    return Plan(key, style, tempo_bpm, start_s, tuple(bars))


def _sections(rng: np.random.Generator, bars_needed: int) -> list[tuple[Section, int]]:
    sections = [(Section.INTRO, int(rng.integers(3)))]
    total = sections[0][1]
    verse_bars, chorus_bars = (int(rng.choice([4, 8], p=[0.35, 0.65])) for _ in range(2))
    while total < bars_needed:
        cycle = [(Section.VERSE, verse_bars), (Section.CHORUS, chorus_bars)]
        if rng.random() < 0.3:
            cycle.append((Section.BREAK, 2))
        sections += cycle
        total += sum(length for _, length in cycle)
    return sections


def _choose_progressions(rng: np.random.Generator, key: Key, style: Style) -> dict[Section, list[tuple[Chord, Chord]]]:
    verse, chorus = rng.choice(PROGRESSIONS[key.mode], size=2, replace=False)
    halves = {}
    for section, numerals in ((Section.VERSE, verse), (Section.CHORUS, chorus)):
        chords = [chord_of(numeral, key, style.sevenths) for numeral in numerals.split()]
        bars = [(chord, chord) for chord in chords]
        if rng.random() < 0.3:  # a turnaround: the last bar's second half leads back with a dominant
            bars[-1] = (chords[-1], chord_of("V", key, style.sevenths))
        halves[section] = bars
    halves[Section.INTRO] = halves[Section.BREAK] = halves[Section.VERSE]
    return halves
