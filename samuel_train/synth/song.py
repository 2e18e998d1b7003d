"""A whole song from one number: what was sung and played, and the facts about it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from samuel_train.synth.band.arrangement import arrange
from samuel_train.synth.band.band import play_band
from samuel_train.synth.compose.form import Plan
from samuel_train.synth.compose.phrasing import Performed
from samuel_train.synth.compose.score import Track, instruments
from samuel_train.synth.dsp import SAMPLE_RATE_HZ
from samuel_train.synth.facts import SongFacts
from samuel_train.synth.scores.musicxml import Score
from samuel_train.synth.sung import DURATION_S, compose_melody
from samuel_train.synth.voice.recording import record_voice
from samuel_train.synth.voice.singer import FREEST, Singer
from samuel_train.synth.voice.voice import sing


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


def compose(
    seed: int, duration_s: float = DURATION_S, freest: float = FREEST, score: Score | None = None
) -> Composition:
    """Write song number ``seed`` and choose ``duration_s`` seconds of it; needs nothing but numpy.

    Singers are as free as ``freest`` at most, see :func:`samuel_train.synth.voice.singer.draw_singer`. With a
    ``score`` the song is its, see :func:`samuel_train.synth.scores.plan.plan_score`.

    Raises:
        UserError: if the seed is negative, or the duration is not within 1 s .. 600 s.
    """
    sung = compose_melody(seed, duration_s, freest, score)
    players, *sound = sung.seeds
    tracks = arrange(np.random.default_rng(players), sung.plan)
    facts = replace(sung.facts, instruments=instruments(tracks))
    samples = round(duration_s * SAMPLE_RATE_HZ)
    return Composition(sung.plan, tracks, sung.singer, sung.notes, facts, samples, tuple(sound))


def render_song(
    seed: int, duration_s: float = DURATION_S, freest: float = FREEST, score: Score | None = None
) -> RenderedSong:
    """Compose and render song number ``seed``, ``duration_s`` seconds at 44.1 kHz, see :func:`compose`.

    Raises:
        UserError: if the seed or the duration is out of range, or a tool fails.
    """
    composition = compose(seed, duration_s, freest, score)
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
