"""From the plan to the strokes and notes of the band: patterns, voicings, fills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from samuel_train.synth.drums import Drum
from samuel_train.synth.form import BEATS_PER_BAR, Bar, Plan, Section
from samuel_train.synth.styles import Backbeat, Timekeeper
from samuel_train.synth.theory import Chord

_STEPS = 16
_STEPS_PER_BEAT = _STEPS // BEATS_PER_BAR
_LOUDNESS = {"X": 1.0, "x": 0.72, "o": 0.38, "O": 0.8}
_SECTION_LOUDNESS = {Section.INTRO: 0.8, Section.VERSE: 0.82, Section.CHORUS: 1.0, Section.BREAK: 0.9}
_STRUM_S = 0.011


class Part(str, Enum):
    """Who plays."""

    BASS = "bass"
    COMPING = "comping"
    STRINGS = "strings"


@dataclass(frozen=True)
class Note:
    """A note of a pitched part."""

    part: Part
    start_s: float
    duration_s: float
    midi: int
    loudness: float


@dataclass(frozen=True)
class Stroke:
    """A stroke on a drum."""

    drum: Drum
    start_s: float
    loudness: float


@dataclass(frozen=True)
class _Patterns:
    """The lines one song has chosen from its style."""

    kick: str
    snare: str
    hat: str
    bass: str
    comping: str
    string_sections: frozenset[Section]
    """Where strings join in."""
    drumless_verse: bool
    """Whether the drums wait through the first verse."""


def arrange(rng: np.random.Generator, plan: Plan) -> tuple[list[Note], list[Stroke]]:
    """All notes and strokes of the song, in no particular order."""
    style = plan.style
    kick, snare, hat, bass, comping = (
        str(rng.choice(lines)) for lines in (style.kick, style.snare, style.hat, style.bass, style.comping)
    )
    patterns = _Patterns(
        kick=kick,
        snare=snare,
        hat=hat,
        bass=bass,
        comping=comping,
        string_sections=frozenset([Section.CHORUS] if rng.random() < 0.5 else []),
        drumless_verse=bool(rng.random() < 0.1),
    )
    notes: list[Note] = []
    strokes: list[Stroke] = []
    voicing: tuple[int, ...] = ()
    for index, bar in enumerate(plan.bars):
        following = plan.bars[index + 1] if index + 1 < len(plan.bars) else bar
        times_s = _step_times_s(plan, index)
        loudness = _SECTION_LOUDNESS[bar.section]
        notes += _bass_line(patterns.bass, bar, following, times_s, loudness)
        voicings = []
        for chord in bar.chords:
            voicing = _voice_chord(chord, voicing)
            voicings.append(voicing)
        notes += _comping_line(patterns.comping, voicings, times_s, loudness)
        if bar.section in patterns.string_sections:
            notes += _string_line(bar, voicings, times_s, loudness)
        late_drums = patterns.drumless_verse and bar.visit == 0 and bar.section is not Section.CHORUS
        if bar.section is not Section.INTRO and not late_drums:
            strokes += _drum_bar(plan, patterns, bar, following, times_s, loudness)
    return _humanise_notes(rng, notes), _humanise_strokes(rng, strokes)


def _step_times_s(plan: Plan, bar_index: int) -> np.ndarray:
    """(17,) the sixteenths of a bar and the next bar's first, with swing."""
    steps = np.arange(_STEPS + 1, dtype=np.float64)
    steps[1::2] += plan.style.swing
    return plan.time_s(0) + (bar_index * BEATS_PER_BAR + steps / _STEPS_PER_BEAT) * plan.beat_s


def _marks(line: str) -> Iterator[tuple[int, int, str]]:
    """(start, stop, mark) of every note in a line; a note lasts through the dots after it."""
    for start, mark in enumerate(line):
        if mark in ".-":
            continue
        stop = start + 1
        while stop < len(line) and line[stop] == ".":
            stop += 1
        yield start, stop, mark


def _bass_line(line: str, bar: Bar, following: Bar, times_s: np.ndarray, loudness: float) -> Iterator[Note]:
    for start, stop, mark in _marks(line):
        chord = bar.chords[start // (_STEPS // 2)]
        root = 28 + (chord.root - 28) % 12  # E1 .. D#2
        fifth = root + 7 if root < 36 else root - 5
        approach = 28 + (following.chords[0].root - 28) % 12 - 1
        midi = {"R": root, "5": fifth, "8": root + 12, "a": approach}[mark]
        if mark == "a" and following.chords[0] == chord:
            midi = root
        accent = 1.0 if start == 0 else 0.85
        yield Note(Part.BASS, times_s[start], times_s[stop] - times_s[start], midi, loudness * accent)


def _voice_chord(chord: Chord, previous: tuple[int, ...]) -> tuple[int, ...]:
    """Four voices around middle C, moving as little as they can from the chord before."""
    best: tuple[int, ...] = ()
    best_distance = float("inf")
    centre = float(np.mean(previous)) if previous else 61.0
    for lowest in range(52, 64):
        if lowest % 12 not in chord.pitch_classes:
            continue
        voices = [m for m in range(lowest, lowest + 16) if m % 12 in chord.pitch_classes][:4]
        distance = abs(float(np.mean(voices)) - 0.7 * centre - 0.3 * 61.0)
        if distance < best_distance:
            best, best_distance = tuple(voices), distance
    return best


def _comping_line(line: str, voicings: list[tuple[int, ...]], times_s: np.ndarray, loudness: float) -> Iterator[Note]:
    for start, stop, mark in _marks(line):
        voicing = voicings[start // (_STEPS // 2)]
        duration_s = times_s[stop] - times_s[start]
        if mark.isdigit():
            held_s = times_s[-1] - times_s[start]  # arpeggios ring on
            yield Note(Part.COMPING, times_s[start], held_s, voicing[int(mark)], 0.85 * loudness)
            continue
        for order, midi in enumerate(voicing):
            strum_s = order * _STRUM_S
            yield Note(Part.COMPING, times_s[start] + strum_s, duration_s, midi, _LOUDNESS[mark] * loudness)


def _string_line(bar: Bar, voicings: list[tuple[int, ...]], times_s: np.ndarray, loudness: float) -> Iterator[Note]:
    held = bar.chords[0] == bar.chords[1]
    spans = [(0, _STEPS, voicings[0])] if held else [(0, 8, voicings[0]), (8, _STEPS, voicings[1])]
    for start, stop, voicing in spans:
        for midi in voicing[1:]:
            yield Note(Part.STRINGS, times_s[start], times_s[stop] - times_s[start], midi + 12, loudness)


def _drum_bar(
    plan: Plan, patterns: _Patterns, bar: Bar, following: Bar, times_s: np.ndarray, loudness: float
) -> Iterator[Stroke]:
    style = plan.style
    waiting = style.backbeat is Backbeat.RIM_IN_VERSES and bar.section is not Section.CHORUS
    backbeat = Drum.RIM if waiting or style.backbeat is Backbeat.RIM else Drum.SNARE
    shaken = style.timekeeper is Timekeeper.SHAKER
    fill = following.section is not bar.section
    for drum, line in ((Drum.KICK, patterns.kick), (backbeat, patterns.snare), (Drum.CLOSED_HAT, patterns.hat)):
        for step, mark in enumerate(line):
            if mark == "." or (fill and drum is backbeat and step >= 12):
                continue
            played = drum
            if drum is Drum.CLOSED_HAT:
                played = Drum.OPEN_HAT if mark == "O" else Drum.SHAKER if shaken else drum
            yield Stroke(played, times_s[step], _LOUDNESS[mark] * loudness)
    if fill:
        for step in range(12, _STEPS):
            yield Stroke(backbeat, times_s[step], loudness * (0.4 + 0.15 * (step - 12)))
    if bar.section is Section.CHORUS and bar.position == 0 and bar.visit % 2 == 0 and not shaken:
        yield Stroke(Drum.CRASH, times_s[0], 0.8 * loudness)


def _humanise_notes(rng: np.random.Generator, notes: list[Note]) -> list[Note]:
    late_s = rng.normal(0, 0.004, len(notes)).clip(-0.01, 0.01)
    louder = rng.normal(1, 0.07, len(notes)).clip(0.8, 1.2)
    return [
        Note(n.part, max(n.start_s + late, 0.0), n.duration_s, n.midi, n.loudness * gain)
        for n, late, gain in zip(notes, late_s.tolist(), louder.tolist(), strict=True)
    ]


def _humanise_strokes(rng: np.random.Generator, strokes: list[Stroke]) -> list[Stroke]:
    late_s = rng.normal(0, 0.0025, len(strokes)).clip(-0.006, 0.006)
    louder = rng.normal(1, 0.08, len(strokes)).clip(0.75, 1.25)
    return [
        Stroke(s.drum, max(s.start_s + late, 0.0), s.loudness * gain)
        for s, late, gain in zip(strokes, late_s.tolist(), louder.tolist(), strict=True)
    ]
