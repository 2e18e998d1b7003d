"""Does a decoder keep pitch? Scenes of tones whose pitch is known, and how far off each of them comes back.

Our own measure looks for the partials of a known tone in one long spectrum. For tones alone librosa's YIN (de
Cheveigné & Kawahara, 2002), which knows nothing of what is expected, is asked as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import librosa
import numpy as np

from samuel_train.synth.tones import Note, alone, chord_over, over_a_bass

REGISTERS = ((28, 39), (40, 47), (48, 59), (60, 84))
"""Lowest and highest MIDI note of each row."""
ALONE_CENTS, CHORD_CENTS = 25.0, 30.0
"""Within which a tone alone, and one in a chord, counts as right."""
_ALONE_S, _CHORD_S = 0.6, 1.0
_MIDI, _TONES_EACH = range(28, 85), 2
_BASSES = 40
_SETTLED_S = 0.15, 0.30  # after the attack; in chords, after the kick as well
_RELEASE_S = 0.05
_TRANSFORM = 1 << 18  # bins of 0.17 Hz at 44.1 kHz, by zero padding
_REACH = 0.4  # of the fundamental, to either side of each partial
_PARTIALS = 4
_YIN_HZ = (35.0, 1200.0)
_YIN_WINDOW = 4096
_SEED = 20_261

Process = Callable[[np.ndarray], np.ndarray]
"""(samples, 2) float32 through a codec, to the same shape."""


@dataclass(frozen=True)
class PitchScore:
    """Tones of one register in one kind of scene."""

    scene: str
    """``on the scale``, ``off the scale``, ``bass under chords and drums`` or ``chords over a bass``."""
    lowest_midi: int
    highest_midi: int
    tones: int
    median_cents: float
    """Of the absolute error; beyond the search range an error counts as its end."""
    right: float
    """Share within 25 cents alone, within 30 cents in chords."""
    right_by_yin: float | None
    """The same by librosa's YIN, octaves forgiven; None in chords, which have more than one pitch."""


def pitch_scores(process: Process, sample_rate_hz: int) -> list[PitchScore]:
    """Send the scenes through a codec and measure every tone of them.

    Args:
        process: the codec.
        sample_rate_hz: that it works at.
    """
    rng = np.random.default_rng(_SEED)
    scores: list[PitchScore] = []
    for scene, detune in (("on the scale", 0.0), ("off the scale", 0.5)):
        pitches = [midi + detune * rng.uniform(-1, 1) for midi in _MIDI for _ in range(_TONES_EACH)]
        notes = [Note(_ALONE_S * i, _ALONE_S, pitch) for i, pitch in enumerate(rng.permutation(pitches))]
        samples = process(alone(rng, notes, sample_rate_hz))
        errors = [(note, abs(tone_error_cents(samples, note, sample_rate_hz))) for note in notes]
        by_yin = [(note, yin_error_cents(samples, note, sample_rate_hz)) for note in notes]
        scores += _by_register(scene, errors, ALONE_CENTS, by_yin)
    basses = [Note(_CHORD_S * i, _CHORD_S, midi) for i, midi in enumerate(rng.uniform(28, 48, _BASSES))]
    chords = [chord_over(rng, bass, 3 + index % 3) for index, bass in enumerate(basses)]
    samples = process(over_a_bass(rng, basses, chords, sample_rate_hz))
    for scene, notes in (("bass under chords and drums", basses), ("chords over a bass", list(chain(*chords)))):
        errors = [(note, abs(fundamental_error_cents(samples, note, sample_rate_hz))) for note in notes]
        scores += _by_register(scene, errors, CHORD_CENTS, None)
    return scores


def tone_error_cents(samples: np.ndarray, note: Note, sample_rate_hz: int) -> float:
    """By how much a tone alone is sharp: the median of its first partials, weighted by their magnitude."""
    spectrum = _spectrum(samples, note, _SETTLED_S[0], sample_rate_hz)
    found = [_partial(spectrum, note.hz, h, _REACH * note.hz, sample_rate_hz) for h in range(1, _PARTIALS + 1)]
    cents, weights = np.array(found).T
    order = np.argsort(cents)
    middle = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(cents[order][middle])


def fundamental_error_cents(samples: np.ndarray, note: Note, sample_rate_hz: int) -> float:
    """By how much a tone among others is sharp: of the loudest partial within a tritone below and a fourth above a
    bass, or within three quarter tones of any other note, whose neighbours may be a minor third away."""
    spectrum = _spectrum(samples, note, _SETTLED_S[1], sample_rate_hz)
    reach = (2**0.4 - 1 if note.midi < 50 else 2 ** (1.5 / 12) - 1) * note.hz
    return _partial(spectrum, note.hz, 1, reach, sample_rate_hz)[0]


def yin_error_cents(samples: np.ndarray, note: Note, sample_rate_hz: int) -> float:
    """Absolute error of librosa's YIN for a tone alone, octaves forgiven."""
    mono = _steady(samples, note, _SETTLED_S[0], sample_rate_hz)
    hz = librosa.yin(mono, fmin=_YIN_HZ[0], fmax=_YIN_HZ[1], sr=sample_rate_hz, frame_length=_YIN_WINDOW)
    cents = 1200 * np.log2(np.median(hz) / note.hz)
    return float(abs((cents + 600) % 1200 - 600))


def _steady(samples: np.ndarray, note: Note, settled_s: float, sample_rate_hz: int) -> np.ndarray:
    start, stop = note.start_s + settled_s, note.start_s + note.duration_s - _RELEASE_S
    return samples[round(start * sample_rate_hz) : round(stop * sample_rate_hz)].mean(axis=1)


def _spectrum(samples: np.ndarray, note: Note, settled_s: float, sample_rate_hz: int) -> np.ndarray:
    mono = _steady(samples, note, settled_s, sample_rate_hz)
    return np.abs(np.fft.rfft(mono * np.hanning(len(mono)), _TRANSFORM))


def _partial(spectrum: np.ndarray, hz: float, number: int, reach_hz: float, sample_rate_hz: int) -> tuple[float, float]:
    """(cents that the loudest line near a partial is sharp, its magnitude)."""
    bin_hz = sample_rate_hz / _TRANSFORM
    first = round((number * hz - reach_hz) / bin_hz)
    near = spectrum[first : round((number * hz + reach_hz) / bin_hz) + 1]
    loudest = int(near.argmax())
    return 1200 * float(np.log2((first + loudest) * bin_hz / (number * hz))), float(near[loudest])


def _by_register(
    scene: str,
    errors: Sequence[tuple[Note, float]],
    right_cents: float,
    by_yin: Sequence[tuple[Note, float]] | None,
) -> list[PitchScore]:
    scores = []
    for lowest, highest in REGISTERS:
        cents, yin = (
            np.array([error for note, error in each if lowest <= round(note.midi) <= highest])
            for each in (errors, by_yin or [])
        )
        if len(cents):
            right_by_yin = float(np.mean(yin <= right_cents)) if len(yin) else None
            scores.append(
                PitchScore(scene, lowest, highest, len(cents), float(np.median(cents)),
                           float(np.mean(cents <= right_cents)), right_by_yin)
            )  # fmt: skip
    return scores
