"""A whole song from one number: what was sung and played, and the facts about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from samuel_runtime.errors import UserError
from samuel_train.synth.band import play_band
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, convolve, from_db, rms, room_response
from samuel_train.synth.form import BEATS_PER_BAR, Plan, plan_song
from samuel_train.synth.melody import SungNote, write_melody
from samuel_train.synth.singer import draw_singer
from samuel_train.synth.voice import sing

DURATION_S = 47.55
"""Default length: 1024 latent frames of 2048 samples, rounded up."""
LONGEST_S = 600.0

_PEAK = 0.97
_CUT_FADE_S = 0.03


@dataclass(frozen=True)
class SongFacts:
    """The ground truth of a song."""

    tonic: str
    """Name of the tonic, such as ``Eb``."""
    mode: str
    """``major`` or ``minor``."""
    tempo_bpm: float
    style: str
    beats_s: tuple[float, ...]
    """Time of every beat; the first is a downbeat and bars have four."""
    chords: tuple[tuple[float, str], ...]
    """(start_s, name) of every change of chord."""
    melody: tuple[tuple[float, float, int], ...]
    """(start_s, duration_s, midi) of every sung note, as written."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SongFacts:
        """Rebuild from JSON values.

        Raises:
            UserError: if a key is missing or unknown, or a list is none.
        """
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            wrong = ", ".join(sorted(set(values) ^ names))
            raise UserError(f"song facts: missing or unknown key {wrong}")
        try:
            sequences = {
                "beats_s": tuple(float(beat_s) for beat_s in values["beats_s"]),
                "chords": tuple((float(start_s), str(name)) for start_s, name in values["chords"]),
                "melody": tuple(
                    (float(start_s), float(held_s), int(midi)) for start_s, held_s, midi in values["melody"]
                ),
            }
        except (TypeError, ValueError) as error:
            raise UserError(f"song facts: beats_s, chords or melody is not a list as written ({error})") from error
        return cls(**{**values, **sequences})


@dataclass(frozen=True)
class Song:
    """Two stems and their facts."""

    vocals: np.ndarray
    """(samples, 2) float32, |x| <= 0.99."""
    accompaniment: np.ndarray
    """(samples, 2) float32, |x| <= 0.99."""
    sample_rate_hz: int
    facts: SongFacts


def render_song(seed: int, duration_s: float = DURATION_S) -> Song:
    """Compose and render song number ``seed``, ``duration_s`` seconds at 44.1 kHz.

    Raises:
        UserError: if the seed is negative, or the duration is not within 1 s .. 600 s.
    """
    if seed < 0:
        raise UserError(f"the seed of a song must not be negative, not {seed}")
    if not 1.0 <= duration_s <= LONGEST_S:
        raise UserError(f"a song can last from 1 to {LONGEST_S:.0f} seconds, not {duration_s}")
    samples = round(duration_s * SAMPLE_RATE_HZ)
    form_rng, singer_rng, melody_rng, voice_rng, band_rng, level_rng = np.random.default_rng(seed).spawn(6)
    plan = plan_song(form_rng, duration_s)
    singer = draw_singer(singer_rng)
    melody = write_melody(melody_rng, plan, singer.lowest, singer.highest)
    vocals = _record_voice(level_rng, sing(voice_rng, plan, melody, singer, samples))
    band = play_band(band_rng, plan, samples)
    band *= from_db(float(level_rng.uniform(-22, -15))) / max(rms(band), 1e-9)
    return Song(_finish(vocals), _finish(band), SAMPLE_RATE_HZ, _facts(plan, melody, duration_s))


def _record_voice(rng: np.random.Generator, voice: np.ndarray) -> np.ndarray:
    """A dry voice (samples,) in a room, at a level, over a noise floor: (samples, 2)."""
    wet = from_db(float(rng.uniform(-26, -13)))
    response = room_response(rng, float(rng.uniform(0.25, 0.9)))
    room = np.stack([convolve(voice, response[:, channel]) for channel in range(2)], axis=1)  # (samples, 2)
    vocals = voice[:, None] + np.float32(wet) * room
    level_dbfs = float(rng.uniform(-30, -14))
    vocals *= np.float32(from_db(level_dbfs) / max(rms(vocals), 1e-9))
    floor = from_db(level_dbfs - float(rng.uniform(45, 70)))
    return vocals + np.float32(floor) * rng.standard_normal((len(voice), 1), dtype=np.float32)


def _finish(stem: np.ndarray) -> np.ndarray:
    """Round off peaks that would clip and fade the cut at both ends, (samples, 2) float32."""
    knee = 0.6
    over = np.abs(stem) > knee
    headroom = _PEAK - knee
    loud = stem[over]
    stem[over] = np.sign(loud) * (knee + headroom * np.tanh((np.abs(loud) - knee) / headroom))
    fade = np.linspace(0, 1, round(_CUT_FADE_S * SAMPLE_RATE_HZ), dtype=np.float32)[:, None]
    stem[: len(fade)] *= fade
    stem[-len(fade) :] *= fade[::-1]
    return np.ascontiguousarray(stem, dtype=np.float32)


def _facts(plan: Plan, melody: tuple[SungNote, ...], duration_s: float) -> SongFacts:
    def sounds(beat: float) -> bool:
        return plan.time_s(beat) < duration_s

    def time_s(beat: float) -> float:
        return round(plan.time_s(beat), 6)

    halves = [chord for bar in plan.bars for chord in bar.chords]
    half_beats = BEATS_PER_BAR // 2
    return SongFacts(
        tonic=plan.key.tonic_name,
        mode=plan.key.mode.value,
        tempo_bpm=plan.tempo_bpm,
        style=plan.style.name,
        beats_s=tuple(time_s(beat) for beat in range(len(plan.bars) * BEATS_PER_BAR) if sounds(beat)),
        chords=tuple(
            (time_s(index * half_beats), chord.name(plan.key))
            for index, chord in enumerate(halves)
            if sounds(index * half_beats) and (index == 0 or halves[index - 1] != chord)
        ),
        melody=tuple(
            (time_s(note.beat), round(note.beats * plan.beat_s, 6), note.midi) for note in melody if sounds(note.beat)
        ),
    )
