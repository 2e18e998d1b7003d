"""A whole song from one number: what was sung and played, and the facts about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samuel_runtime.errors import UserError
from samuel_train.synth.band.arrangement import arrange
from samuel_train.synth.band.band import play_band
from samuel_train.synth.compose.form import Plan, plan_song
from samuel_train.synth.compose.melody import SungNote, write_melody
from samuel_train.synth.compose.phrasing import Performed, perform, plan_beat
from samuel_train.synth.compose.score import Track, instruments
from samuel_train.synth.dsp import SAMPLE_RATE_HZ
from samuel_train.synth.facts import SongFacts
from samuel_train.synth.voice.recording import record_voice
from samuel_train.synth.voice.singer import FREEST, Singer, draw_singer
from samuel_train.synth.voice.voice import sing

SHORTEST_S, LONGEST_S = 1.0, 600.0
DURATION_S = 47.55
"""A window of the paper's model: 1024 latent frames of 2048 samples, rounded up."""


@dataclass(frozen=True)
class Composition:
    """An excerpt of a song before anything sounds."""

    plan: Plan
    tracks: tuple[Track, ...]
    singer: Singer
    notes: tuple[Performed, ...]
    """What is sung, as it is sung."""
    facts: SongFacts
    samples: int
    seeds: tuple[np.random.SeedSequence, ...]
    """Of the band's mastering, the voice and its recording."""


@dataclass(frozen=True, eq=False)
class RenderedSong:
    """Two stems and their facts."""

    vocals: np.ndarray
    """(samples, 2) float32, |x| <= 0.99."""
    accompaniment: np.ndarray
    """(samples, 2) float32, |x| <= 0.99."""
    sample_rate_hz: int
    facts: SongFacts


def compose(seed: int, duration_s: float = DURATION_S, freest: float = FREEST) -> Composition:
    """Write song number ``seed`` and choose ``duration_s`` seconds of it; needs nothing but numpy.

    Singers are as free as ``freest`` at most, see :func:`samuel_train.synth.voice.singer.draw_singer`.

    Raises:
        UserError: if the seed is negative, or the duration is not within 1 s .. 600 s.
    """
    if seed < 0:
        raise UserError(f"the seed of a song must not be negative, not {seed}")
    if not SHORTEST_S <= duration_s <= LONGEST_S:
        raise UserError(f"a song can last from {SHORTEST_S:.0f} to {LONGEST_S:.0f} seconds, not {duration_s}")
    form, players, who, tune, manner, *sound = np.random.SeedSequence(seed).spawn(8)
    plan = plan_song(np.random.default_rng(form), duration_s)
    tracks = arrange(np.random.default_rng(players), plan)
    singer = draw_singer(np.random.default_rng(who), freest)
    melody = write_melody(np.random.default_rng(tune), plan, singer.lowest, singer.highest)
    notes = perform(np.random.default_rng(manner), plan, melody, singer, duration_s)
    facts = _facts(plan, melody, tracks, singer, duration_s)
    samples = round(duration_s * SAMPLE_RATE_HZ)
    return Composition(plan, tracks, singer, tuple(notes), facts, samples, tuple(sound))


def render_song(seed: int, duration_s: float = DURATION_S, freest: float = FREEST) -> RenderedSong:
    """Compose and render song number ``seed``, ``duration_s`` seconds at 44.1 kHz, see :func:`compose`.

    Raises:
        UserError: if the seed or the duration is out of range, or a tool fails.
    """
    composition = compose(seed, duration_s, freest)
    band_seed, _, _ = composition.seeds
    accompaniment = play_band(np.random.default_rng(band_seed), composition.tracks, composition.samples)
    return RenderedSong(render_voice(composition), accompaniment, SAMPLE_RATE_HZ, composition.facts)


def render_voice(composition: Composition) -> np.ndarray:
    """The recorded voice of a composition, (samples, 2) float32.

    Raises:
        UserError: the speaker's sounds cannot be made.
    """
    _, voice_seed, recording_seed = composition.seeds
    voice = sing(np.random.default_rng(voice_seed), composition.notes, composition.singer, composition.samples)
    return record_voice(np.random.default_rng(recording_seed), voice)


def _facts(
    plan: Plan, melody: Sequence[SungNote], tracks: Sequence[Track], singer: Singer, duration_s: float
) -> SongFacts:
    meter = plan.meter
    beats = [(index, round(plan.time_s(index), 6)) for index in range(len(plan.bars) * meter.beats)]
    beats = [(index, time_s) for index, time_s in beats if 0 <= time_s < duration_s]
    chords = [
        (plan.time_s(bar_index * meter.beats + offset), chord.name(plan.key))
        for bar_index, bar in enumerate(plan.bars)
        for offset, chord in zip((0, meter.second_chord_beat), bar.chords, strict=True)
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
        instruments=instruments(tracks),
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
