"""How instruments lay a chord out over their compass."""

from __future__ import annotations

from functools import cache

from samuel_runtime.errors import unhandled
from samuel_train.synth.compose.styles import Voicing
from samuel_train.synth.compose.theory import Chord, Quality

_MIDDLE = 61.0
_HIGH_MIDDLE = 73.0
_LOWEST_STRING = 40
_MOST_TONES = 4


def voice_chord(chord: Chord, voicing: Voicing, previous: tuple[int, ...]) -> tuple[int, ...]:
    """The notes of a chord, lowest first, near those of the chord before.

    Ninth chords are laid out without their fifth, and three voices (``HIGH``) leave out a tone of every chord of four.
    Power chords are root and perfect fifth, over diminished chords, too; an augmented fifth is played.
    """
    if voicing is Voicing.POWER:
        root = _above(_LOWEST_STRING, chord.root)
        return root, root + (8 if chord.quality is Quality.AUGMENTED else 7), root + 12
    if voicing is Voicing.STRUMMED:
        return _strings(chord)
    if voicing is Voicing.HIGH:
        return _close(chord, previous, 3, _HIGH_MIDDLE)
    if voicing is Voicing.HANDS:
        return _above(_LOWEST_STRING, chord.lowest), *_close(chord, previous[1:], 4, _MIDDLE)
    if voicing is Voicing.CLOSE:
        return _close(chord, previous, 4, _MIDDLE)
    raise unhandled(voicing)


def _above(lowest: int, pitch_class: int) -> int:
    return lowest + (pitch_class - lowest) % 12


def _laid_out(chord: Chord) -> set[int]:
    """The pitch classes that say what it is, four at most."""
    tones = set(chord.pitch_classes)
    return tones - {chord.fifth} if len(tones) > _MOST_TONES else tones


def _close(chord: Chord, previous: tuple[int, ...], voices: int, middle: float) -> tuple[int, ...]:
    """Neighbouring chord tones whose mean moves as little as it can."""
    centre = 0.7 * (sum(previous) / len(previous)) + 0.3 * middle if previous else middle
    layouts = _layouts(frozenset(_laid_out(chord)), voices, round(middle) - 10)
    return min(layouts, key=lambda notes: abs(sum(notes) / len(notes) - centre), default=())


@cache
def _layouts(tones: frozenset[int], voices: int, lowest_allowed: int) -> tuple[tuple[int, ...], ...]:
    """Neighbouring chord tones from each chord tone of an octave up."""
    return tuple(
        tuple(m for m in range(lowest, lowest + 18) if m % 12 in tones)[:voices]
        for lowest in range(lowest_allowed, lowest_allowed + 13)
        if lowest % 12 in tones
    )


def _strings(chord: Chord) -> tuple[int, ...]:
    """The bass on a low string, then the fifth, then every other tone upwards, as an open chord is fretted."""
    lowest = _above(_LOWEST_STRING, chord.lowest)
    classes = _laid_out(chord)
    tones = [m for m in range(lowest + 5, lowest + 30) if m % 12 in classes and m <= 76]
    return (lowest, *tones[:4])
