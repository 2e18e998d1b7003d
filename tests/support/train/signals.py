"""Signals whose key, harmony, beat and sound are known."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

RATE_HZ = 44_100


@lru_cache(maxsize=256)
def tone(midi: float, duration_s: float, amplitude: float = 0.1) -> np.ndarray:
    """A note with six partials that fades, (samples,), not to be written to: it is the same array every time."""
    time_s = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    frequency_hz = 440 * 2 ** ((midi - 69) / 12)
    partials = sum(np.sin(2 * np.pi * frequency_hz * n * time_s) / n**2 for n in range(1, 7))
    note = np.asarray(amplitude * partials * np.exp(-2 * time_s / duration_s))
    note.flags.writeable = False
    return note


def chords(names: Sequence[Sequence[int]], each_s: float = 1.0) -> np.ndarray:
    """Chords of MIDI numbers one after the other, float32 stereo (samples, 2)."""
    return stereo(np.concatenate([np.sum([tone(midi, each_s) for midi in chord], axis=0) for chord in names]))


def scale(tonic: int, steps: Sequence[int]) -> np.ndarray:
    """A scale up from the tonic and down again, then the tonic's triad, a second each."""
    up = [tonic + step for step in (*steps, 12)]
    triad = [tonic, tonic + steps[2], tonic + steps[4]]
    return chords([*([midi] for midi in [*up, *reversed(up)]), triad, triad], each_s=0.5)


def clicks(bpm: float, duration_s: float, first_s: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A click on every beat, float32 stereo, and the beats in seconds."""
    rng = np.random.default_rng(1)
    click = 0.5 * rng.standard_normal(441) * np.linspace(1, 0, 441)
    track = np.zeros(round(duration_s * RATE_HZ))
    beats_s = np.arange(first_s, duration_s - 0.01, 60 / bpm)
    for beat_s in beats_s:
        start = round(beat_s * RATE_HZ)
        track[start : start + len(click)] += click[: len(track) - start]
    return stereo(track), beats_s


def noise(duration_s: float, seed: int = 0, amplitude: float = 0.1) -> np.ndarray:
    """White noise, the same on both channels, float32 stereo."""
    return stereo(amplitude * np.random.default_rng(seed).standard_normal(round(duration_s * RATE_HZ)))


def silence(duration_s: float) -> np.ndarray:
    """Nothing, float32 stereo."""
    return stereo(np.zeros(round(duration_s * RATE_HZ)))


def stereo(track: np.ndarray) -> np.ndarray:
    """(samples,) on both channels, float32 (samples, 2)."""
    return np.stack([track, track], axis=1).astype(np.float32)
