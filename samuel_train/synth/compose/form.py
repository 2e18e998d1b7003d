"""The plan of a song: key, meter, tempo, style, sections and chords."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import numpy as np

from samuel_train.synth.compose.meter import Meter
from samuel_train.synth.compose.progressions import JAZZ_PROGRESSIONS, PROGRESSIONS
from samuel_train.synth.compose.style_book import STYLES
from samuel_train.synth.compose.styles import Section, Style
from samuel_train.synth.compose.theory import Chord, Key, Mode, chord_of

BARS_PER_PROGRESSION = 4
LEAST_SUNG = 0.55
"""Share of an excerpt that lies in sung sections, if the song has such a place."""
_TRIES = 24
_MAJOR_SHARE = 0.55
_TURNAROUND = 0.3


@dataclass(frozen=True)
class Bar:
    """One bar of the plan."""

    section: Section
    position: int
    """Bar within its progression, 0 .. 3."""
    visit: int
    """How many progressions of this section came before."""
    chords: tuple[tuple[int, Chord], ...]
    """(sixteenth, chord) of what it begins with, at 0, and of every change; a chord may follow itself."""

    def chord_at(self, step: float) -> Chord:
        """What sounds at a sixteenth of the bar."""
        return [chord for start, chord in self.chords if start <= step][-1]

    @property
    def changes(self) -> tuple[int, ...]:
        """Sixteenths within the bar where another chord begins."""
        return tuple(step for (_, before), (step, chord) in pairwise(self.chords) if chord != before)


@dataclass(frozen=True)
class Plan:
    """Everything voice and band agree on before they play; times are seconds from the excerpt's beginning."""

    key: Key
    style: Style
    tempo_bpm: float
    start_s: float
    """Time of the song's first beat: negative where the excerpt begins later in the song."""
    bars: tuple[Bar, ...]

    @property
    def meter(self) -> Meter:
        """The style's."""
        return self.style.meter

    @property
    def beat_s(self) -> float:
        """Length of a beat."""
        return 60.0 / self.tempo_bpm

    @property
    def bar_s(self) -> float:
        """Length of a bar."""
        return self.meter.beats * self.beat_s

    def time_s(self, beat: float) -> float:
        """When a beat, counted from the song's first one, falls."""
        return self.start_s + beat * self.beat_s

    def step_s(self, bar: int, step: float) -> float:
        """When a sixteenth of a bar is played, swing and all."""
        swung = self.meter.swung(step, self.style.swing)
        return self.time_s(bar * self.meter.beats + swung / self.meter.steps_per_beat)


class _Length(int, Enum):
    """Bars of a section."""

    SHORT = 4
    LONG = 8


def plan_song(rng: np.random.Generator, duration_s: float) -> Plan:
    """Draw a song, and where in it an excerpt of ``duration_s`` begins; the song does not end before the excerpt."""
    key = Key(int(rng.integers(12)), Mode.MAJOR if rng.random() < _MAJOR_SHARE else Mode.MINOR)
    style = STYLES[rng.integers(len(STYLES))]
    tempo_bpm = round(float(rng.uniform(*style.tempo_bpm)), 2)
    progressions = _choose_progressions(rng, key, style)
    bar_s = style.meter.beats * 60.0 / tempo_bpm
    bars = _lay_out(rng, progressions, least_bars=int(2 * duration_s / bar_s) + 1)
    start_s = -draw_excerpt(rng, [bar.section.sung for bar in bars], bar_s, duration_s)
    return Plan(key, style, tempo_bpm, round(start_s, 6), tuple(bars))


def _lay_out(
    rng: np.random.Generator, progressions: dict[Section, list[tuple[tuple[int, Chord], ...]]], least_bars: int
) -> list[Bar]:
    bars: list[Bar] = []
    visits = dict.fromkeys(Section, 0)
    for section, length in _sections(rng, least_bars):
        for index in range(length):
            position = index % BARS_PER_PROGRESSION
            bars.append(Bar(section, position, visits[section], progressions[section][position]))
            if position == BARS_PER_PROGRESSION - 1:
                visits[section] += 1
    return bars


def _sections(rng: np.random.Generator, least_bars: int) -> list[tuple[Section, int]]:
    verse, chorus = (int(rng.choice([_Length.SHORT, _Length.LONG], p=[0.35, 0.65])) for _ in range(2))
    sections = [(Section.INTRO, int(rng.choice([0, 2, 4])))]
    total, cycles = sections[0][1], 0
    while total < least_bars or cycles < 2:
        cycle = [(Section.VERSE, verse), (Section.CHORUS, chorus)]
        if cycles == 1:
            cycle.append((Section.BRIDGE, 4 if rng.random() < 0.5 else 8))
            cycle.append((Section.CHORUS, chorus))
        elif rng.random() < 0.4:
            cycle.append((Section.BREAK, 2 if rng.random() < 0.5 else 4))
        sections += cycle
        total += sum(length for _, length in cycle)
        cycles += 1
    return sections


def draw_excerpt(rng: np.random.Generator, sung_bars: Sequence[bool], bar_s: float, duration_s: float) -> float:
    """Where the excerpt begins, in seconds of the song: anywhere, but with enough to sing if that can be had."""
    latest_s = max(len(sung_bars) * bar_s - duration_s, 0.0)
    sung = np.array(sung_bars, dtype=float)
    best_s, best_share = 0.0, -1.0
    for _ in range(_TRIES):
        start_s = float(rng.uniform(0, latest_s))
        within = np.arange(start_s, start_s + duration_s, 0.25)
        share = float(sung[np.minimum((within / bar_s).astype(int), len(sung) - 1)].mean())
        if share > best_share:
            best_s, best_share = start_s, share
        if share >= LEAST_SUNG:
            return start_s
    return best_s


def _choose_progressions(
    rng: np.random.Generator, key: Key, style: Style
) -> dict[Section, list[tuple[tuple[int, Chord], ...]]]:
    book = (JAZZ_PROGRESSIONS if style.jazz else PROGRESSIONS)[key.mode]
    drawn = rng.choice(book, size=3, replace=False)
    bars: dict[Section, list[tuple[tuple[int, Chord], ...]]] = {}
    for section, written in zip((Section.VERSE, Section.CHORUS, Section.BRIDGE), drawn, strict=True):
        halves = [_bar_chords(bar, key, style.sevenths) for bar in str(written).split()]
        first, last = halves[-1]
        if first == last and rng.random() < _TURNAROUND:  # the last bar leads back with a dominant
            halves[-1] = (first, chord_of("V", key, style.sevenths))
        bars[section] = [((0, first), (style.meter.second_chord_step, second)) for first, second in halves]
    bars[Section.INTRO] = bars[Section.BREAK] = bars[Section.VERSE]
    return bars


def _bar_chords(written: str, key: Key, sevenths: bool) -> tuple[Chord, Chord]:
    numerals = written.split(":")
    return chord_of(numerals[0], key, sevenths), chord_of(numerals[-1], key, sevenths)
