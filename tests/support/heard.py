"""Activations as an estimator might give them, from a lead sheet that is known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S, Activations
from samuel_runtime.leadsheet.chords import Chord, Key
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet, Meter

PULSE = np.array([0.1, 0.5, 1.0, 0.5, 0.1])


@dataclass(frozen=True)
class Hearing:
    """How an estimator errs; by default not at all."""

    least_peak: float = 1.0
    """Peaks are between this and 1 high."""
    missing: float = 0.0
    """Share of beats without a peak."""
    false: float = 0.0
    """Peaks where no beat is, as a share of the beats."""
    jitter_s: float = 0.0
    """Standard deviation of peaks about their beats."""
    noise: float = 0.0
    """Mean of the activation between peaks."""
    downbeats: float = 1.0
    """How much of the truth is in the downbeats' activations; the rest is chance."""
    between: float = 0.0
    """Share of beats after which a peak of half the height stands in the middle, where an eighth is."""
    roots_noise: float = 0.0
    """Of the roots' logits, in which the true one is 1 higher."""
    key_noise: float = 0.0
    """Of the keys' logits, in which the true one is 2 higher."""


CLEAN = Hearing()
NOISY = Hearing(0.2, 0.15, 0.1, 0.012, 0.03, 0.4, 0.0, 0.65, 1.0)
"""Roots are right in 45 % of half bars."""


def even_sheet(
    bpm: float,
    duration_s: float = 60.0,
    first_s: float = 0.3,
    meter: Meter = Meter.COMMON,
    chords: tuple[str, ...] = (),
    drift: float = 0.0,
    key: str | None = None,
    shift: int = 0,
) -> LeadSheet:
    """A click with chords, one a bar.

    Args:
        bpm: tempo at the start.
        duration_s: of the song.
        first_s: its first beat.
        meter: of its bars.
        chords: repeated.
        drift: by how much the tempo is faster at the end, as a share.
        key: of the song.
        shift: beats before the first bar.
    """
    times, time_s = [], first_s
    while time_s < duration_s:
        times.append(time_s)
        time_s += 60 / bpm / (1 + drift * time_s / duration_s)
    bars = times[shift :: meter.beats]
    spans = tuple(ChordSpan(bar_s, chords[index % len(chords)]) for index, bar_s in enumerate(bars)) if chords else ()
    changes = tuple(span for index, span in enumerate(spans) if not index or span.name != spans[index - 1].name)
    return LeadSheet(duration_s, meter, key, tuple(times), tuple(bars), changes)


def heard(
    sheet: LeadSheet, hearing: Hearing = CLEAN, seed: int = 0, gaps_s: tuple[tuple[float, float], ...] = ()
) -> Activations:
    """What the estimator says of a song.

    Args:
        sheet: the truth.
        hearing: how it errs.
        seed: of the errors.
        gaps_s: (from, to) where no one sings.
    """
    chance = np.random.default_rng(seed)
    frames = int(np.ceil(sheet.duration_s / FRAME_S))
    beat, downbeat = (chance.exponential(hearing.noise, frames) if hearing.noise else np.zeros(frames) for _ in "bd")
    for time_s in sheet.beats_s:
        if chance.random() < hearing.missing:
            continue
        if chance.random() < hearing.between:
            _pulse(beat, time_s + 30 / (sheet.tempo_bpm or 60), 0.5 * chance.uniform(hearing.least_peak, 1))
        height, at_s = chance.uniform(hearing.least_peak, 1), time_s + hearing.jitter_s * chance.standard_normal()
        opens = hearing.downbeats * (time_s in sheet.downbeats_s) + (1 - hearing.downbeats) * chance.random()
        _pulse(beat, at_s, height)
        _pulse(downbeat, at_s, height * opens)
    for at_s in chance.uniform(0, sheet.duration_s, round(hearing.false * len(sheet.beats_s))):
        height = chance.uniform(hearing.least_peak, 1)
        _pulse(beat, at_s, height)
        _pulse(downbeat, at_s, height * chance.random() * 0.5)
    times_s = (np.arange(frames) + 0.5) * FRAME_S
    for start_s, end_s in gaps_s:
        silent = (times_s >= start_s) & (times_s < end_s)
        beat[silent] = downbeat[silent] = 0
    tones, root = _harmony(sheet, hearing, times_s, chance)
    key = np.full((frames, 24), 1 / 24)
    if sheet.key is not None:
        parsed = Key.parse(sheet.key)
        logits = hearing.key_noise * chance.standard_normal(24)
        logits[parsed.tonic + 12 * parsed.minor] += 2
        key[:] = np.exp(logits) / np.exp(logits).sum()
    as_float = [np.clip(each, 0, 1).astype(np.float32) for each in (beat, downbeat, tones, root, key)]
    return Activations(*as_float)


def _pulse(into: np.ndarray, at_s: float, height: float) -> None:
    """A peak whose centroid is at a time, between the frames."""
    place = at_s / FRAME_S - 0.5
    frames = np.arange(int(np.floor(place)) - 3, int(np.floor(place)) + 5)
    inside = (frames >= 0) & (frames < len(into))
    shape = height * np.interp(frames[inside] - place, np.arange(-2, 3), PULSE, left=0, right=0)
    into[frames[inside]] = np.maximum(into[frames[inside]], shape)


def _harmony(
    sheet: LeadSheet, hearing: Hearing, times_s: np.ndarray, chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(frames, 12) tones and root: of half bars a softmax over the roots, and the tones of such chords on them."""
    tones, root = np.zeros((len(times_s), 12)), np.zeros((len(times_s), 12))
    half = 2 if sheet.meter is Meter.COMMON else sheet.meter.beats
    first = sheet.beats_s.index(sheet.downbeats_s[0])
    bounds = [0.0, *sheet.beats_s[first % half :: half], sheet.duration_s]
    for start_s, end_s in pairwise(bounds):
        here = (times_s >= start_s) & (times_s < end_s)
        chord = Chord.parse(sheet.chord_at((start_s + end_s) / 2))
        if chord.root is None:
            continue
        logits = hearing.roots_noise * chance.standard_normal(12)
        logits[chord.root] += 1.0 if hearing.roots_noise else 20.0
        share = np.exp(logits * 1.5) / np.exp(logits * 1.5).sum()
        quality = np.array([pitch in {(tone - chord.root) % 12 for tone in chord.pitch_classes} for pitch in range(12)])
        root[here] = share
        tones[here] = sum(share[other] * np.roll(quality, other) for other in range(12))
    return tones, root
