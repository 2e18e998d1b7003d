"""How instruments lay a chord out over their compass."""

from __future__ import annotations

import numpy as np

from samuel_runtime.errors import unhandled
from samuel_train.synth.compose.styles import Voicing
from samuel_train.synth.compose.theory import Chord

_MIDDLE = 61.0
_HIGH_MIDDLE = 73.0
_LOWEST_STRING = 40


def voice_chord(chord: Chord, voicing: Voicing, previous: tuple[int, ...]) -> tuple[int, ...]:
    """The notes of a chord, lowest first, near those of the chord before."""
    if voicing is Voicing.POWER:
        root = _above(_LOWEST_STRING, chord.root)
        return root, root + 7, root + 12
    if voicing is Voicing.STRUMMED:
        return _strings(chord)
    if voicing is Voicing.HIGH:
        return _close(chord, previous, 3, _HIGH_MIDDLE)
    if voicing is Voicing.HANDS:
        return _above(_LOWEST_STRING, chord.root), *_close(chord, previous[1:], 4, _MIDDLE)
    if voicing is Voicing.CLOSE:
        return _close(chord, previous, 4, _MIDDLE)
    raise unhandled(voicing)


def _above(lowest: int, pitch_class: int) -> int:
    return lowest + (pitch_class - lowest) % 12


def _close(chord: Chord, previous: tuple[int, ...], voices: int, middle: float) -> tuple[int, ...]:
    """Neighbouring chord tones whose mean moves as little as it can."""
    centre = 0.7 * float(np.mean(previous)) + 0.3 * middle if previous else middle
    lowest_allowed = round(middle) - 10
    best: tuple[int, ...] = ()
    best_distance = float("inf")
    for lowest in range(lowest_allowed, lowest_allowed + 13):
        if lowest % 12 not in chord.pitch_classes:
            continue
        notes = tuple(m for m in range(lowest, lowest + 18) if m % 12 in chord.pitch_classes)[:voices]
        distance = abs(float(np.mean(notes)) - centre)
        if distance < best_distance:
            best, best_distance = notes, distance
    return best


def _strings(chord: Chord) -> tuple[int, ...]:
    """Root on a low string, then the fifth, then every other tone upwards, as an open chord is fretted."""
    root = _above(_LOWEST_STRING, chord.root)
    tones = [m for m in range(root + 5, root + 30) if m % 12 in chord.pitch_classes and m <= 76]
    return (root, *tones[:4])
