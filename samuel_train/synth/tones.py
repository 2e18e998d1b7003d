"""Sounds whose pitch is known exactly: harmonic tones alone, and chords over a bass with drums.

They are no music. A codec is tested with them, and learns from others of their kind, because generated songs are
tuned to A = 440 Hz throughout and hardly ever have a bass alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LOWEST_MIDI, HIGHEST_MIDI = 28.0, 84.0
_ATTACK_S = 0.005
_PARTIALS_MOST = 40
_HIGHEST_PARTIAL_HZ = 16_000.0
_LEVEL = 0.1  # root mean square of a rendered scene


@dataclass(frozen=True)
class Note:
    """One tone of a scene."""

    start_s: float
    duration_s: float
    midi: float
    """Pitch; 69 is A = 440 Hz, and fractions are off the scale."""

    @property
    def hz(self) -> float:
        """Of the fundamental."""
        return 440 * 2 ** ((self.midi - 69) / 12)


def harmonic_tone(rng: np.random.Generator, note: Note, sample_rate_hz: int) -> np.ndarray:
    """Partials of random phase over a random spectral slope, struck and dying away: (samples,), peak about 1."""
    t = np.arange(round(note.duration_s * sample_rate_hz)) / sample_rate_hz
    slope, decay = rng.uniform(0.9, 1.8), rng.uniform(0.5, 4.0)
    count = int(min(_PARTIALS_MOST, _HIGHEST_PARTIAL_HZ / note.hz))
    turn = np.exp(2j * np.pi * (note.hz * t % 1)).astype(np.complex64)
    brief, phasor, tone = (-decay * t).astype(np.float32), turn.copy(), np.zeros(len(t), np.float32)
    for h in range(1, count + 1):
        start = np.complex64(np.exp(2j * np.pi * rng.uniform()))
        tone += (phasor * start).imag * np.exp(brief * np.float32(h**0.3)) * np.float32(h**-slope)
        phasor *= turn
    return tone * _faded(t, note.duration_s)


def drum_stroke(rng: np.random.Generator, kind: str, sample_rate_hz: int) -> np.ndarray:
    """A kick, snare or hat: (samples,), peak about 1.

    Raises:
        ValueError: if ``kind`` is none of them.
    """
    t = np.arange(round(0.25 * sample_rate_hz)) / sample_rate_hz
    noise = rng.standard_normal(len(t))
    if kind == "kick":
        sweep_hz = 45 + 110 * np.exp(-t / 0.02)
        return np.sin(2 * np.pi * np.cumsum(sweep_hz) / sample_rate_hz) * np.exp(-t / 0.06)
    if kind == "snare":
        return (0.4 * noise + 0.6 * np.sin(2 * np.pi * 190 * t)) * np.exp(-t / 0.05)
    if kind == "hat":
        return np.diff(noise, prepend=0.0) * 0.4 * np.exp(-t / 0.02)
    raise ValueError(f"{kind!r} is neither a kick, a snare nor a hat")


def alone(rng: np.random.Generator, notes: Sequence[Note], sample_rate_hz: int) -> np.ndarray:
    """The notes as harmonic tones, all equally loud: float32 (samples, 2), both channels alike."""
    mix = np.zeros(_length(notes, sample_rate_hz))
    for note in notes:
        tone = harmonic_tone(rng, note, sample_rate_hz)
        _add(mix, tone / np.sqrt(np.square(tone).mean()), note.start_s, sample_rate_hz)
    return _levelled(np.stack([mix, mix], axis=1))


def over_a_bass(
    rng: np.random.Generator, basses: Sequence[Note], chords: Sequence[Sequence[Note]], sample_rate_hz: int
) -> np.ndarray:
    """Every bass under its chord, with a kick where it begins and a snare and hats after: float32 (samples, 2)."""
    mix = np.zeros((_length(basses, sample_rate_hz), 2))
    for bass, chord in zip(basses, chords, strict=True):
        _add(mix, harmonic_tone(rng, bass, sample_rate_hz)[:, None], bass.start_s, sample_rate_hz)
        for note in chord:
            places = rng.uniform(0.3, 1.0, 2) * rng.uniform(0.3, 0.7)
            tone = harmonic_tone(rng, note, sample_rate_hz)[:, None] * places
            _add(mix, tone, note.start_s, sample_rate_hz)
        for kind, after, gain in (("kick", 0.0, 0.8), ("hat", 0.25, 0.3), ("snare", 0.5, 0.5), ("hat", 0.75, 0.3)):
            stroke = gain * drum_stroke(rng, kind, sample_rate_hz)[:, None]
            _add(mix, stroke, bass.start_s + after * bass.duration_s, sample_rate_hz)
    return _levelled(mix)


def chord_over(rng: np.random.Generator, bass: Note, voices: int) -> list[Note]:
    """A chord of ``voices`` notes between MIDI 53 and 79, a minor third apart or more, as long as its bass."""
    steps = rng.uniform(3, 5.5, voices - 1)
    lowest = 53 + rng.uniform(0, max(0.0, 26 - steps.sum()))
    pitches = lowest + np.concatenate([[0.0], np.cumsum(steps)])
    return [Note(bass.start_s, bass.duration_s, float(midi)) for midi in pitches]


def colored_noise(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Noise of a random spectral slope, or silence, by the channel: float32 (samples, 2)."""
    hz = np.maximum(np.arange(samples // 2 + 1), 1)
    spectrum = rng.standard_normal((2, len(hz))) + 1j * rng.standard_normal((2, len(hz)))
    noise = np.fft.irfft(spectrum * hz ** -rng.uniform(0, 1), samples) * (rng.random((2, 1)) < 0.8)
    return (noise * _LEVEL / max(1e-9, np.sqrt(np.square(noise).mean()))).T.astype(np.float32)


def drums_alone(rng: np.random.Generator, samples: int, sample_rate_hz: int) -> np.ndarray:
    """Strokes of a kit at random times: float32 (samples, 2)."""
    mix = np.zeros((samples, 2))
    for start_s in np.cumsum(rng.uniform(0.1, 0.5, 1 + 10 * samples // sample_rate_hz)):
        stroke = drum_stroke(rng, str(rng.choice(["kick", "snare", "hat"])), sample_rate_hz)[:, None]
        if start_s * sample_rate_hz < samples:
            _add(mix, stroke * rng.uniform(0.2, 1.0, 2), start_s, sample_rate_hz)
    return _levelled(mix)


def random_scene(rng: np.random.Generator, samples: int, sample_rate_hz: int) -> np.ndarray:
    """Something to learn from, float32 (samples, 2): tones alone, mostly low ones, chords over a bass, drums, noise."""
    kind = rng.choice(["alone", "chords", "drums", "noise"], p=[0.45, 0.45, 0.07, 0.03])
    if kind == "noise":
        return colored_noise(rng, samples)
    if kind == "drums":
        return drums_alone(rng, samples, sample_rate_hz)
    held_s = rng.uniform(0.2, 1.0)
    count = int(samples / sample_rate_hz / held_s) + 1
    lowest, highest = (LOWEST_MIDI, 50.0) if kind == "chords" or rng.random() < 0.7 else (40.0, HIGHEST_MIDI)
    notes = [Note(i * held_s, held_s, float(rng.uniform(lowest - 1, highest + 1))) for i in range(count)]
    if kind == "alone":
        return alone(rng, notes, sample_rate_hz)[:samples]
    chords = [chord_over(rng, bass, int(rng.integers(3, 6))) for bass in notes]
    return over_a_bass(rng, notes, chords, sample_rate_hz)[:samples]


def _faded(t: np.ndarray, duration_s: float) -> np.ndarray:
    return np.minimum(1, np.minimum(t / _ATTACK_S, (duration_s - t) / _ATTACK_S))


def _length(notes: Sequence[Note], sample_rate_hz: int) -> int:
    return round(max(note.start_s + note.duration_s for note in notes) * sample_rate_hz)


def _add(mix: np.ndarray, sound: np.ndarray, start_s: float, sample_rate_hz: int) -> None:
    start = round(start_s * sample_rate_hz)
    room = len(mix) - start
    mix[start : start + len(sound)] += sound[:room]


def _levelled(mix: np.ndarray) -> np.ndarray:
    mix = mix * _LEVEL / max(1e-9, np.sqrt(np.square(mix).mean()))
    return (mix / max(1.0, np.abs(mix).max() / 0.99)).astype(np.float32)
