"""The chords of a score that names none, read off what accompanies its melody.

A hidden Markov model over the beats of the score: a chord sounds the pitch classes of its beat like draws from a
distribution that favours its tones, and chords like to last, most of all until the next bar line. A broken chord
touches its bass once and leaves it to the pedal, so the lowest note since the bar line counts as the bass of a beat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from samuel_runtime.leadsheet.chords import Chord

_READ = ("maj", "min", "7", "maj7", "min7", "dim", "hdim7", "dim7")
"""Qualities that are told apart; others are too much like several of these."""
_CHORDS = tuple(Chord(root, quality) for quality in _READ for root in range(12))
_ROOTS = tuple(range(12)) * len(_READ)
_OTHERS = 0.1
"""Of what sounds, the share of pitch classes that are no tone of the chord: passing notes, suspensions."""
_BASS = 0.5
"""Notes that the bass counts as, beside those that sound."""
_ROOT_IN_BASS = 1.0
"""Log odds of a chord in root position."""
_PLAIN = ("maj", "min", "7")
_NOT_PLAIN = 0.3
"""Cost of a beat of any other chord, in nats."""
_EVIDENCE = 4.0
"""Notes, at most, that a beat counts as: the notes of a beat are no independent draws."""
_CHANGE, _CHANGE_ON_BAR = 5.0, 1.5
"""Cost of another chord within a bar and at its line, in nats."""
Note = tuple[float, float, int]


def read_chords(notes: Sequence[Note], beats: Sequence[float], downbeats: Iterable[float]) -> list[tuple[float, str]]:
    """Start and Harte name of the likeliest chords, ``N`` where nothing sounds between them.

    Args:
        notes: start, end and MIDI number of each, in the unit of the beats.
        beats: ascending, two at least.
        downbeats: those of them on which a bar begins.
    """
    times = np.asarray(beats)
    on_line = np.isclose(times[:, None], np.asarray([*downbeats])[None]).any(axis=1)
    sounding, basses = _heard(notes, times, on_line)
    plays = sounding.sum(axis=1) > 0
    if not plays.any():
        return []
    path = _likeliest(_log_likelihoods(sounding, basses), np.where(on_line, _CHANGE_ON_BAR, _CHANGE))
    names = [_CHORDS[state].named() if sounds else "N" for sounds, state in zip(plays, path, strict=True)]
    changes = [index for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
    if names[-1] == "N":
        changes.pop()
    return [(float(times[index]), names[index]) for index in changes]


def _heard(notes: Sequence[Note], beats: np.ndarray, on_line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(beats, 12) each: how much of every beat a pitch class sounds, and 1 for that of its bass."""
    ends = np.append(beats[1:], 2 * beats[-1] - beats[-2])
    sounding, basses = np.zeros((2, len(beats), 12))
    lowest = None
    for index, (start, end) in enumerate(zip(beats, ends, strict=True)):
        inside = [(min(to, end) - max(at, start), midi) for at, to, midi in notes if at < end and to > start]
        for length, midi in inside:
            sounding[index, midi % 12] += length / (end - start)
        if on_line[index]:
            lowest = None
        if inside:
            lowest = min(midi for midi in [lowest, *(midi for _, midi in inside)] if midi is not None)
            basses[index, lowest % 12] = 1
    return sounding, basses


def _log_likelihoods(sounding: np.ndarray, basses: np.ndarray) -> np.ndarray:
    """(beats, chords)"""
    counts = sounding + _BASS * basses
    counts *= np.minimum(1, _EVIDENCE / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    costs = [0 if chord.quality in _PLAIN else _NOT_PLAIN for chord in _CHORDS]
    return counts @ _log_distributions().T + _ROOT_IN_BASS * basses[:, _ROOTS] - costs


@cache
def _log_distributions() -> np.ndarray:
    """(chords, 12) of the pitch classes that every chord sounds."""
    shares = np.empty((len(_CHORDS), 12))
    for share, chord in zip(shares, _CHORDS, strict=True):
        tones = list(chord.pitch_classes)
        share[:] = _OTHERS / (12 - len(tones))
        share[tones] = (1 - _OTHERS) / len(tones)
    return np.log(shares)


def _likeliest(log_likelihoods: np.ndarray, change: np.ndarray) -> list[int]:
    """The path of Viterbi, where a change at a beat costs the same to all chords."""
    score, came_from = log_likelihoods[0], []
    for here, cost in zip(log_likelihoods[1:], change[1:], strict=True):
        best = int(np.argmax(score))
        stays = score >= score[best] - cost
        came_from.append(np.where(stays, np.arange(len(score)), best))
        score = np.where(stays, score, score[best] - cost) + here
    path = [int(np.argmax(score))]
    for origin in reversed(came_from):
        path.append(int(origin[path[-1]]))
    return path[::-1]
