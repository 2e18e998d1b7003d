"""How far a lead sheet that was heard agrees with the true one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.chords import Chord, Key
from samuel_train.evaluate.metrics.beats import beat_score, tempo_agrees, tempo_bpm

_STEP_S = 0.05


@dataclass(frozen=True)
class Agreement:
    """Of one song, or the means over songs."""

    beat_f: float
    """F-measure of the beats, within 70 ms."""
    tempo: float
    """1 if it is within 4 % of the true one, its half or its double, else 0."""
    downbeat_f: float
    """F-measure of the bars' beginnings, within 70 ms."""
    root: float
    """Share of the time with a known root in which the chord's root is right."""
    key: float
    """1 for the true key or its relative, else 0; NaN if it is not known."""

    def __str__(self) -> str:
        return ", ".join(f"{field.name} {getattr(self, field.name):.3f}" for field in fields(self))


def agreement(heard: LeadSheet, truth: LeadSheet) -> Agreement:
    """Compare two sheets of one song."""
    beats_s, true_beats_s = np.array(heard.beats_s), np.array(truth.beats_s)
    times_s = np.arange(_STEP_S / 2, truth.duration_s, _STEP_S)
    roots = [(Chord.parse(truth.chord_at(at_s)).root, Chord.parse(heard.chord_at(at_s)).root) for at_s in times_s]
    right = [true == found for true, found in roots if true is not None]
    return Agreement(
        beat_f=beat_score(true_beats_s, beats_s),
        tempo=float(tempo_agrees(tempo_bpm(true_beats_s), tempo_bpm(beats_s))),
        downbeat_f=beat_score(np.array(truth.downbeats_s), np.array(heard.downbeats_s)),
        root=float(np.mean(right)) if right else float("nan"),
        key=float(_signature(heard.key) == _signature(truth.key)) if truth.key else float("nan"),
    )


def mean_agreement(songs: Sequence[Agreement]) -> Agreement:
    """Means over the songs for which a value is known."""
    return Agreement(*np.nanmean([astuple(song) for song in songs], axis=0).tolist())


def _signature(name: str | None) -> int | None:
    """The tonic of the major key with the same pitch classes; None for no key."""
    if name is None:
        return None
    key = Key.parse(name)
    return (key.tonic + 3 * key.minor) % 12
