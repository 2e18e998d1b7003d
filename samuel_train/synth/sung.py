"""A sung melody from one number, without a band: what `samuel-train listen` learns from, thousands a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samuel_runtime.errors import UserError
from samuel_train.synth.compose.form import Plan, plan_song
from samuel_train.synth.compose.melody import SungNote, write_melody
from samuel_train.synth.compose.phrasing import Performed, perform, plan_beat
from samuel_train.synth.facts import SongFacts
from samuel_train.synth.scores.musicxml import Score
from samuel_train.synth.scores.plan import plan_score
from samuel_train.synth.voice.singer import FREEST, Singer, draw_singer

SHORTEST_S, LONGEST_S = 1.0, 600.0
DURATION_S = 47.55
"""A window of the paper's model: 1024 latent frames of 2048 samples, rounded up."""


@dataclass(frozen=True)
class SungMelody:
    """An excerpt of a song as its singer knows it."""

    plan: Plan
    singer: Singer
    notes: tuple[Performed, ...]
    """What is sung, as it is sung."""
    facts: SongFacts
    """Without instruments."""
    seeds: tuple[np.random.SeedSequence, ...]
    """Of the players, then of the band's mastering, the voice and its recording."""


def compose_melody(
    seed: int, duration_s: float = DURATION_S, freest: float = FREEST, score: Score | None = None
) -> SungMelody:
    """Write the melody of song number ``seed`` and choose ``duration_s`` seconds of it; needs nothing but numpy.

    Singers are as free as ``freest`` at most, see :func:`samuel_train.synth.voice.singer.draw_singer`. Melody, chords
    and meter are those of the ``score``, if there is one; it must have a key, and is transposed.

    Raises:
        UserError: if the seed is negative, or the duration is not within 1 s .. 600 s.
    """
    if seed < 0:
        raise UserError(f"the seed of a song must not be negative, not {seed}")
    if not SHORTEST_S <= duration_s <= LONGEST_S:
        raise UserError(f"a song can last from {SHORTEST_S:.0f} to {LONGEST_S:.0f} seconds, not {duration_s}")
    form, players, who, tune, manner, *sound = np.random.SeedSequence(seed).spawn(8)
    singer = draw_singer(np.random.default_rng(who), freest)
    if score is not None:
        plan, melody = plan_score(np.random.default_rng(form), score, singer, duration_s)
    else:
        plan = plan_song(np.random.default_rng(form), duration_s)
        melody = write_melody(np.random.default_rng(tune), plan, singer.lowest, singer.highest)
    notes = perform(np.random.default_rng(manner), plan, melody, singer, duration_s)
    return SungMelody(plan, singer, tuple(notes), _facts(plan, melody, singer, duration_s), (players, *sound))


def _facts(plan: Plan, melody: Sequence[SungNote], singer: Singer, duration_s: float) -> SongFacts:
    meter = plan.meter
    beats = [(index, round(plan.time_s(index), 6)) for index in range(len(plan.bars) * meter.beats)]
    beats = [(index, time_s) for index, time_s in beats if 0 <= time_s < duration_s]
    chords = [
        (plan.step_s(bar_index, step), chord.name(plan.key))
        for bar_index, bar in enumerate(plan.bars)
        for step, chord in bar.chords
    ]
    sections = [(plan.time_s(index * meter.beats), bar.section.value) for index, bar in enumerate(plan.bars)]
    sung = []
    for note in melody:
        start_s = plan.time_s(plan_beat(plan, note.beat))
        held_s = plan.time_s(plan_beat(plan, note.beat + note.beats)) - start_s
        if start_s + held_s > 0.05 and start_s < duration_s - 0.05:
            sung.append((round(start_s, 6), round(held_s, 6), note.midi))
    return SongFacts(
        tonic=plan.key.tonic_name,
        mode=plan.key.mode.value,
        tempo_bpm=plan.tempo_bpm,
        style=plan.style.name,
        beats_s=tuple(time_s for _, time_s in beats),
        chords=_changes(chords, duration_s),
        melody=tuple(sung),
        meter=meter.name,
        downbeats_s=tuple(time_s for index, time_s in beats if index % meter.beats == 0),
        sections=_changes(sections, duration_s),
        take=singer.performance.value,
        speaker=singer.speaker.voice,
    )


def _changes(timed: Sequence[tuple[float, str]], duration_s: float) -> tuple[tuple[float, str], ...]:
    """(start_s, name) of every change within the excerpt; the first begins with it."""
    changes: list[tuple[float, str]] = []
    for start_s, name in timed:
        if start_s >= duration_s:
            break
        if start_s <= 0:
            changes = [(0.0, name)]
        elif not changes or changes[-1][1] != name:
            changes.append((round(start_s, 6), name))
    return tuple(changes)
