"""A score as the plan and the melody of a song: its notes, chords and meter in a key, a tempo and a form of this song.

What is simplified: chords change on the nearest sixteenth, and what is written over a pickup is not played; the pickup
itself is sung where a bar comes before it. 12/8 and 9/8 are accompanied in four and three beats of four sixteenths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from samuel_runtime.leadsheet.chords import Key as SheetKey
from samuel_runtime.leadsheet.chords import symbol
from samuel_train.synth.compose.form import BARS_PER_PROGRESSION, Bar, Plan, draw_excerpt
from samuel_train.synth.compose.melody import SungNote
from samuel_train.synth.compose.meter import Meter
from samuel_train.synth.compose.style_book import STYLES
from samuel_train.synth.compose.styles import Section, Style
from samuel_train.synth.compose.theory import NO_CHORD, Chord, Key, Mode
from samuel_train.synth.scores.musicxml import REST_QUARTERS, Score
from samuel_train.synth.voice.singer import Singer

_SAME = 1e-3  # beats
_INTROS, _BREAKS = (0, 2, 4), (0, 0, 2, 4)  # bars that nobody sings in, before the score and before it comes again
_LENGTHS = (4, 8)  # of verses and choruses, in bars
_Chords = tuple[tuple[int, Chord], ...]


def plan_score(
    rng: np.random.Generator, score: Score, singer: Singer, duration_s: float
) -> tuple[Plan, tuple[SungNote, ...]]:
    """Draw style, tempo, key and form for a score that has a key, and where an excerpt of ``duration_s`` begins.

    The score is sung through, again and again, until the song is twice as long as the excerpt; intros and breaks play
    the chords of its last bars. Its key is drawn among those in which it lies within the singer's compass, or, if it is
    too wide, is the one in whose middle it lies.
    """
    style = _draw_style(rng, score)
    slowest, fastest = _tempo_bpm(style, score)
    tempo_bpm = round(float(rng.uniform(slowest, fastest)), 2)
    semitones = _draw_transposition(rng, score, singer)
    bar_s = style.meter.beats * 60.0 / tempo_bpm
    song = _draw_form(rng, score, style.meter, semitones, least_bars=int(2 * duration_s / bar_s) + 1)
    notes = tuple(song.phrased(score.beat_quarters))
    start_s = -draw_excerpt(rng, _sung_bars(len(song.bars), style.meter, notes), bar_s, duration_s)
    return Plan(_key(score, semitones), style, tempo_bpm, round(start_s, 6), tuple(song.bars)), notes


@dataclass(eq=False)
class _Song:
    """A song while it is laid out."""

    bars: list[Bar] = field(default_factory=list)
    notes: list[SungNote] = field(default_factory=list)
    visits: dict[Section, int] = field(default_factory=lambda: dict.fromkeys(Section, 0))

    def add_section(self, section: Section, bars: Sequence[_Chords]) -> None:
        """Bars by their chords."""
        for index, chords in enumerate(bars):
            visit = self.visits[section] + index // BARS_PER_PROGRESSION
            self.bars.append(Bar(section, index % BARS_PER_PROGRESSION, visit, chords))
        self.visits[section] += ceil(len(bars) / BARS_PER_PROGRESSION)

    def add_notes(self, notes: Sequence[SungNote]) -> None:
        """Notes that come after those before; a pickup cuts off what still sounds, one before the song is left out."""
        notes = [note for note in notes if note.beat >= -_SAME]
        begin = notes[0].beat
        kept = [note for note in self.notes if note.beat < begin - _SAME]
        if kept:
            kept[-1] = replace(kept[-1], beats=min(kept[-1].beats, begin - kept[-1].beat))
        self.notes = kept + notes

    def phrased(self, beat_quarters: float) -> list[SungNote]:
        """The notes, of which those beside rests open and close phrases, in choruses lifted."""
        rest = REST_QUARTERS / beat_quarters
        ends = [-np.inf, *(note.beat + note.beats for note in self.notes)]
        starts = [*(note.beat for note in self.notes), np.inf]
        return [
            replace(
                note,
                opens_phrase=note.beat - ends[index] > rest,
                closes_phrase=starts[index + 1] - ends[index + 1] > rest,
            )
            for index, note in enumerate(self.notes)
        ]


def _draw_form(rng: np.random.Generator, score: Score, meter: Meter, semitones: int, least_bars: int) -> _Song:
    """Passes through the score, in verses and choruses, with bars between that nobody sings in."""
    chart = _chart(score, meter, semitones)
    verse, chorus = (int(rng.choice(_LENGTHS)) for _ in range(2))
    song = _Song()
    rest = int(rng.choice(_INTROS))
    song.add_section(Section.INTRO, chart[len(chart) - min(rest, len(chart)) :])
    while len(song.bars) < least_bars:
        first_bar, done, section = len(song.bars), 0, Section.VERSE
        while done < len(chart):
            length = verse if section is Section.VERSE else chorus
            song.add_section(section, chart[done : done + length])
            done += length
            section = Section.CHORUS if section is Section.VERSE else Section.VERSE
        song.add_notes([_sung(song, note, first_bar, score, meter, semitones) for note in score.notes])
        rest = int(rng.choice(_BREAKS))
        song.add_section(Section.BREAK, chart[len(chart) - min(rest, len(chart)) :])
    return song


def _sung(
    song: _Song, note: tuple[float, float, int], first_bar: int, score: Score, meter: Meter, semitones: int
) -> SungNote:
    start, end, midi = note
    beat = first_bar * meter.beats + start / score.beat_quarters
    bar = song.bars[max(int(beat // meter.beats), 0)]
    lifted = bar.section is Section.CHORUS
    return SungNote(beat, (end - start) / score.beat_quarters, midi + semitones, False, False, lifted)


def _chart(score: Score, meter: Meter, semitones: int) -> list[_Chords]:
    """The chords of every bar; there is none before the first that is written."""
    steps_per_quarter = meter.steps_per_beat / score.beat_quarters
    bars = max(len(score.downbeats), ceil((score.quarters * steps_per_quarter - _SAME) / meter.steps))
    begins: list[dict[int, Chord]] = [{} for _ in range(bars)]
    before = NO_CHORD
    for quarter, name in score.chords:
        bar, step = divmod(max(round(quarter * steps_per_quarter), 0), meter.steps)
        if bar < bars:
            begins[bar][step] = Chord.from_name(_written(name)).transposed(semitones)
    chart = []
    for begun in begins:
        chords = sorted({0: before, **begun}.items())
        chart.append(tuple(chords))
        before = chords[-1][1]
    return chart


def _written(harte: str) -> str:
    return "N" if harte == "N" else symbol(harte)


def _draw_style(rng: np.random.Generator, score: Score) -> Style:
    """Any style of the score's meter that is played at a tempo that the score may have."""
    fitting = []
    for style in STYLES:
        slowest, fastest = _tempo_bpm(style, score)
        if style.meter.name == score.meter.value and slowest < fastest:
            fitting.append(style)
    return fitting[rng.integers(len(fitting))]


def _tempo_bpm(style: Style, score: Score) -> tuple[float, float]:
    """Slowest and fastest tempo of both."""
    return max(style.tempo_bpm[0], score.tempo_bpm[0]), min(style.tempo_bpm[1], score.tempo_bpm[1])


def _draw_transposition(rng: np.random.Generator, score: Score, singer: Singer) -> int:
    """Semitones to a key that suits the singer."""
    pitches = [midi for _, _, midi in score.notes]
    lowest, highest = singer.lowest - min(pitches), singer.highest - max(pitches)
    if lowest > highest:
        return (lowest + highest) // 2
    return int(rng.integers(lowest, highest + 1))


def _key(score: Score, semitones: int) -> Key:
    key = SheetKey.parse(score.key or "")
    return Key((key.tonic + semitones) % 12, Mode.MINOR if key.minor else Mode.MAJOR)


def _sung_bars(bars: int, meter: Meter, notes: Sequence[SungNote]) -> list[bool]:
    """Whether anybody sings, by bar."""
    sung = [False] * bars
    for note in notes:
        last = ceil((note.beat + note.beats - _SAME) / meter.beats)
        for bar in range(int(note.beat // meter.beats), min(last, bars)):
            sung[bar] = True
    return sung
