"""From the plan to the tracks of the band: who plays, which patterns, how loud in which section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from samuel_train.synth.band.drum_part import draw_drummer, play_drums
from samuel_train.synth.band.voicings import voice_chord
from samuel_train.synth.compose.form import Bar, Plan
from samuel_train.synth.compose.score import Hit, Track
from samuel_train.synth.compose.styles import Layer, Program, Section, Voicing
from samuel_train.synth.compose.theory import NO_CHORD

_LOUDNESS = {"X": 1.0, "x": 0.78, "u": 0.66}
_SECTION_LOUDNESS = {
    Section.INTRO: 0.82,
    Section.VERSE: 0.8,
    Section.CHORUS: 1.0,
    Section.BRIDGE: 0.9,
    Section.BREAK: 0.92,
}
_MOST_LAYERS = 3
_CHORDS_DB = 3.0  # against drums and bass
_LOWEST_BASS = 28  # E1
_LATE_S = 0.004
_DETACHED = 0.92  # share of its written length that a note is held


@dataclass(frozen=True)
class _Comping:
    """One chord instrument of a song."""

    layer: Layer
    program: Program
    verse_line: str
    chorus_line: str

    def line(self, section: Section) -> str:
        return self.chorus_line if section is Section.CHORUS else self.verse_line


def arrange(rng: np.random.Generator, plan: Plan) -> tuple[Track, ...]:
    """Drums, bass and one to three chord instruments, from before the excerpt to after it.

    Where there is no chord, drums play alone. The bass begins every chord with its bass note if its pattern has
    anything there; patterns' fifths and thirds are the chord's own.
    """
    style = plan.style
    drummer = draw_drummer(rng, style)
    drums = Track(
        name="drums",
        program=int(rng.choice([kit.value for kit in style.kits])),
        drums=True,
        gain_db=style.drum_gain_db + float(rng.uniform(-2, 2)),
        place=0.0,
        room=0.5 * style.room,
        hits=play_drums(rng, plan, drummer),
    )
    bass_line = str(rng.choice(style.bass))
    bass = Track(
        name="bass",
        program=int(rng.choice([program.value for program in style.basses])),
        drums=False,
        gain_db=float(rng.uniform(-2, 2)),
        place=0.0,
        room=0.1 * style.room,
        hits=_human(rng, [hit for index in range(len(plan.bars)) for hit in _bass_bar(plan, index, bass_line)]),
    )
    tracks = [drums, bass]
    side = float(rng.choice([-1.0, 1.0]))
    for order, comping in enumerate(_draw_comping(rng, plan)):
        place = side * (-1) ** order * float(rng.uniform(0.25, 0.65))
        tracks.append(
            Track(
                name=f"chords-{order + 1}",
                program=comping.program.value,
                drums=False,
                gain_db=_CHORDS_DB + comping.layer.gain_db + float(rng.uniform(-2, 2)),
                place=0.4 * place if comping.layer.voicing is Voicing.HIGH else place,
                room=style.room * float(rng.uniform(0.7, 1.1)),
                hits=_human(rng, list(_comp(plan, comping))),
            )
        )
    return tuple(tracks)


def _draw_comping(rng: np.random.Generator, plan: Plan) -> list[_Comping]:
    present = [layer for layer in plan.style.layers if rng.random() < layer.chance][:_MOST_LAYERS]
    drawn = []
    for layer in present:
        verse, chorus = (str(rng.choice(layer.lines)) for _ in range(2))
        drawn.append(_Comping(layer, layer.programs[rng.integers(len(layer.programs))], verse, chorus))
    return drawn


def _marks(line: str) -> Iterator[tuple[int, int, str]]:
    """(start, stop, mark) of every note in a line; a note lasts through the dots after it."""
    for start, mark in enumerate(line):
        if mark in ".-":
            continue
        stop = start + 1
        while stop < len(line) and line[stop] == ".":
            stop += 1
        yield start, stop, mark


def _bass_bar(plan: Plan, index: int, line: str) -> Iterator[Hit]:
    bar = plan.bars[index]
    following = plan.bars[index + 1] if index + 1 < len(plan.bars) else bar
    loudness = _SECTION_LOUDNESS[bar.section]
    next_chord = following.chord_at(0)
    for start, stop, mark in _cut_at_chords(bar, line):
        chord = bar.chord_at(start)
        if chord == NO_CHORD:
            continue
        root = _LOWEST_BASS + (chord.lowest - _LOWEST_BASS) % 12
        third, fifth = (root + (tone - chord.lowest) % 12 for tone in (chord.pitch_classes[1], chord.fifth))
        approach = _LOWEST_BASS + (next_chord.lowest - _LOWEST_BASS) % 12 - 1
        if next_chord in (chord, NO_CHORD):
            approach = root
        if start in bar.changes:
            mark = "R"
        midi = {"R": root, "3": third, "5": fifth if root < 36 else fifth - 12, "8": root + 12, "a": approach}[mark]
        start_s, stop_s = plan.step_s(index, start), plan.step_s(index, stop)
        yield Hit(start_s, _DETACHED * (stop_s - start_s), midi, loudness * (1.0 if start == 0 else 0.86))


def _comp(plan: Plan, comping: _Comping) -> Iterator[Hit]:
    voicing: tuple[int, ...] = ()
    for index, bar in enumerate(plan.bars):
        if bar.section not in comping.layer.sections:
            continue
        end_s = plan.step_s(index, plan.meter.steps)
        for start, stop, mark in _cut_at_chords(bar, comping.line(bar.section)):
            chord = bar.chord_at(start)
            if chord == NO_CHORD:
                continue
            voicing = voice_chord(chord, comping.layer.voicing, voicing)
            start_s, stop_s = plan.step_s(index, start), plan.step_s(index, stop)
            loudness = _SECTION_LOUDNESS[bar.section]
            if mark.isdigit():  # arpeggios ring on until the chord changes
                until_s = next((plan.step_s(index, step) for step in bar.changes if step > start), end_s)
                note = voicing[min(int(mark), len(voicing) - 1)]
                yield Hit(start_s, until_s - start_s, note, 0.85 * loudness)
                continue
            notes = voicing[::-1] if mark == "u" else voicing
            for order, note in enumerate(notes):
                late_s = order * comping.layer.strum_s
                yield Hit(start_s + late_s, _DETACHED * (stop_s - start_s), note, _LOUDNESS[mark] * loudness)


def _cut_at_chords(bar: Bar, line: str) -> Iterator[tuple[int, int, str]]:
    """The marks of a line, where a note that a new chord interrupts is struck again with it."""
    for start, stop, mark in _marks(line):
        cuts = [start, *(step for step in bar.changes if start < step < stop), stop]
        yield from ((begin, end, mark) for begin, end in pairwise(cuts))


def _human(rng: np.random.Generator, hits: list[Hit]) -> tuple[Hit, ...]:
    late_s = rng.normal(0, _LATE_S, len(hits)).clip(-2.5 * _LATE_S, 2.5 * _LATE_S).tolist()
    louder = rng.normal(1, 0.07, len(hits)).clip(0.8, 1.15).tolist()
    return tuple(
        Hit(hit.start_s + late, hit.duration_s, hit.midi, hit.loudness * gain)
        for hit, late, gain in zip(hits, late_s, louder, strict=True)
    )
