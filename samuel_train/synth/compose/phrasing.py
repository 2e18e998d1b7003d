"""How a melody is performed: when notes really begin and end, how loud, and the curve of the fundamental."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from samuel_train.synth.compose.form import Plan
from samuel_train.synth.compose.melody import SungNote
from samuel_train.synth.dsp import midi_to_hz, rms, smooth
from samuel_train.synth.voice.singer import Singer

CONTROL_S = 0.005
"""One point of every curve; also a frame of the vocoder."""
_LATEST = 3.0  # deviations of timing
_BREATH_S = 0.09  # what a phrase's last note gives up for the breath after it
_SCOOP_S = 0.05
_APPROACH_S = 0.2
_TREMOR_CENTS = 2.0
_STRAIGHT = 8  # parts of a beat without triplets
_SAME = 1e-3


@dataclass(frozen=True)
class Performed:
    """A note as it is sung, seconds from the excerpt's beginning."""

    onset_s: float
    end_s: float
    midi: int
    loudness: float
    opens_phrase: bool
    closes_phrase: bool
    carries_on: bool
    """Whether it keeps the syllable of the note before."""


def perform(
    rng: np.random.Generator, plan: Plan, melody: Sequence[SungNote], singer: Singer, duration_s: float
) -> list[Performed]:
    """The notes that sound within an excerpt, with a singer's deviations from the grid."""
    notes: list[Performed] = []
    for note in melody:
        performed = perform_note(
            rng,
            singer,
            note.midi,
            plan.time_s(plan_beat(plan, note.beat)),
            plan.time_s(plan_beat(plan, note.beat + note.beats)),
            accent=(1.0 if float(note.beat).is_integer() else 0.86, 1.0 if note.lifted else 0.9),
            opens_phrase=note.opens_phrase,
            closes_phrase=note.closes_phrase,
        )
        if performed.end_s > 0.05 and performed.onset_s < duration_s - 0.05:
            notes.append(performed if notes else replace(performed, carries_on=False))
    return notes


def perform_note(
    rng: np.random.Generator,
    singer: Singer,
    midi: int,
    start_s: float,
    end_s: float,
    *,
    accent: tuple[float, float],
    opens_phrase: bool,
    closes_phrase: bool,
) -> Performed:
    """A note from ``start_s`` to ``end_s`` of the grid, with a singer's deviations from it.

    The note's loudness is the product of ``accent``, for its place in the bar and in the song, and of chance.
    """
    late_s = singer.late_s + singer.timing_s * float(np.clip(rng.normal(), -_LATEST, _LATEST))
    loudness = accent[0] * float(rng.uniform(0.8, 1.0)) * accent[1]
    carries_on = not opens_phrase and float(rng.random()) < singer.melisma
    onset_s = start_s + late_s
    return Performed(
        onset_s=onset_s,
        end_s=max(end_s - (_BREATH_S if closes_phrase else 0.0), onset_s + 0.08),
        midi=midi,
        loudness=loudness,
        opens_phrase=opens_phrase,
        closes_phrase=closes_phrase,
        carries_on=carries_on,
    )


def plan_beat(plan: Plan, beat: float) -> float:
    """Where a written beat is sung: with the band's swing, which triplets have already."""
    steps_per_beat = plan.meter.steps_per_beat
    if plan.style.swing and abs(beat * _STRAIGHT - round(beat * _STRAIGHT)) > _SAME:
        return beat
    return plan.meter.swung(beat * steps_per_beat, plan.style.swing) / steps_per_beat


def control_times_s(notes: Sequence[Performed], duration_s: float) -> np.ndarray:
    """Times of the control points: from a little before the first note, which may begin before the excerpt."""
    first = int(np.floor((min(notes[0].onset_s, 0.0) - 0.3) / CONTROL_S))
    return np.arange(first, int(duration_s / CONTROL_S) + 3) * CONTROL_S


def fundamental_hz(
    rng: np.random.Generator, notes: Sequence[Performed], singer: Singer, times_s: np.ndarray
) -> np.ndarray:
    """F0 at every control point, also where nobody sings: intonation, glides, scoops, vibrato, drift and tremor."""
    meant = [note.midi + (singer.tuning_cents + singer.intonation_cents * float(rng.normal())) / 100 for note in notes]
    midi = np.full(len(times_s), meant[0])
    for note, pitch in zip(notes, meant, strict=True):
        midi[times_s >= note.onset_s - singer.portamento_s / 3] = pitch
    midi = smooth(midi, round(singer.portamento_s / CONTROL_S))
    speed_hz = singer.vibrato_hz + smooth(rng.normal(0, 2.0, len(times_s)), round(0.4 / CONTROL_S))
    phase = 2 * np.pi * np.cumsum(speed_hz) * CONTROL_S
    for note in notes:
        span = slice(*np.searchsorted(times_s, [note.onset_s, note.end_s]))
        since_s = times_s[span] - note.onset_s
        depth = singer.vibrato_cents / 100 * np.clip((since_s - 0.25) / 0.35, 0, 1)
        midi[span] += depth * np.sin(phase[span])
        if note.opens_phrase or rng.random() < singer.scooping:
            approach = slice(*np.searchsorted(times_s, [note.onset_s - _APPROACH_S, note.end_s]))
            ahead_s = note.onset_s - times_s[approach]
            scoop = np.exp(np.minimum(ahead_s, 0) / _SCOOP_S) * np.clip(2 - 2 * ahead_s / _APPROACH_S, 0, 1)
            midi[approach] -= singer.scoop_cents / 100 * scoop
    drift = smooth(rng.normal(0, 1, len(times_s)), round(0.5 / CONTROL_S))
    tremor = smooth(rng.normal(0, 1, len(times_s)), 7)
    midi += singer.drift_cents / 100 * drift / max(rms(drift), 1e-9)
    midi += _TREMOR_CENTS / 100 * tremor / max(rms(tremor), 1e-9)
    return midi_to_hz(midi)


def loudness_curve(notes: Sequence[Performed], times_s: np.ndarray) -> np.ndarray:
    """Level at every control point, 0 .. 1: notes open softly, and phrases close with a fall."""
    loudness = np.zeros(len(times_s))
    for note in notes:
        span = slice(*np.searchsorted(times_s, [note.onset_s, note.end_s]))
        place = np.linspace(0, 1, max(span.stop - span.start, 0))
        since_s = times_s[span] - note.onset_s
        fall = 0.7 if note.closes_phrase else 0.2
        loudness[span] = note.loudness * (1 - 0.35 * np.exp(-since_s / 0.06)) * (1 - fall * place**3)
    return np.maximum(smooth(loudness, 9), 0.0)
