"""The drummer: a groove, its lift in choruses, fills into new sections, crashes after them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from samuel_train.synth.band.levels import STROKE
from samuel_train.synth.compose.form import Bar, Plan
from samuel_train.synth.compose.score import Hit
from samuel_train.synth.compose.styles import Drum, Groove, Section, Style

_LOUDNESS = {"X": 1.0, "x": 0.74, "o": 0.45}
_SECTION_LOUDNESS = {
    Section.INTRO: 0.85,
    Section.VERSE: 0.84,
    Section.CHORUS: 1.0,
    Section.BRIDGE: 0.92,
    Section.BREAK: 0.9,
}
_STROKE_S = 0.12
_LATE_S = 0.003
_FILL_STEPS = 4
_FILLS = (
    (Drum.SNARE, Drum.SNARE, Drum.SNARE, Drum.SNARE),
    (Drum.SNARE, Drum.HIGH_TOM, Drum.MIDDLE_TOM, Drum.LOW_TOM),
    (Drum.HIGH_TOM, Drum.HIGH_TOM, Drum.LOW_TOM, Drum.LOW_TOM),
    (Drum.SNARE, Drum.KICK, Drum.SNARE, Drum.SNARE),
)


@dataclass(frozen=True)
class Drummer:
    """What one song's drummer has decided."""

    groove: Groove
    lift: Groove
    fill: tuple[Drum, ...]
    waits: bool
    """Whether the drums leave out the intro and the first verse."""


def draw_drummer(rng: np.random.Generator, style: Style) -> Drummer:
    """A drummer for a song."""
    groove = style.grooves[rng.integers(len(style.grooves))]
    fill = _FILLS[rng.integers(len(_FILLS))]
    return Drummer(groove, style.lift, fill, bool(rng.random() < 0.08))


def play_drums(rng: np.random.Generator, plan: Plan, drummer: Drummer) -> tuple[Hit, ...]:
    """All strokes of a song, a little early or late each."""
    hits: list[Hit] = []
    for index, bar in enumerate(plan.bars):
        if drummer.waits and bar.visit == 0 and bar.section in (Section.INTRO, Section.VERSE):
            continue
        before = plan.bars[index - 1] if index else bar
        following = plan.bars[index + 1] if index + 1 < len(plan.bars) else bar
        hits += _play_bar(plan, drummer, index, before, following)
    late_s = rng.normal(0, _LATE_S, len(hits)).clip(-2 * _LATE_S, 2 * _LATE_S).tolist()
    louder = rng.normal(1, 0.08, len(hits)).clip(0.75, 1.2).tolist()
    return tuple(
        Hit(hit.start_s + late, hit.duration_s, hit.midi, hit.loudness * gain)
        for hit, late, gain in zip(hits, late_s, louder, strict=True)
    )


def _play_bar(plan: Plan, drummer: Drummer, index: int, before: Bar, following: Bar) -> Iterator[Hit]:
    bar = plan.bars[index]
    loudness = _SECTION_LOUDNESS[bar.section]
    groove = {**drummer.groove, **(drummer.lift if bar.section is Section.CHORUS else {})}
    fills = following.section is not bar.section
    fill_from = plan.meter.steps - _FILL_STEPS
    for drum, line in groove.items():
        for step, mark in enumerate(line):
            if mark == "." or (fills and step >= fill_from and drum is not Drum.KICK):
                continue
            struck = _LOUDNESS[mark] * STROKE.get(drum, 1.0) * loudness
            yield Hit(plan.step_s(index, step), _STROKE_S, drum.value, struck)
    if fills:
        for order, drum in enumerate(drummer.fill):
            step = fill_from + order
            yield Hit(plan.step_s(index, step), _STROKE_S, drum.value, loudness * (0.6 + 0.1 * order))
    if bar.section is Section.CHORUS and before.section is not bar.section and Drum.KICK in groove:
        yield Hit(plan.step_s(index, 0), 1.0, Drum.CRASH.value, STROKE[Drum.CRASH] * loudness)
