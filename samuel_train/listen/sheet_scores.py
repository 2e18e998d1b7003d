"""How far a lead sheet that was heard agrees with the true one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.chords import Chord
from samuel_train.evaluate.metrics.beats import beat_score, tempo_agrees, tempo_bpm
from samuel_train.evaluate.metrics.keys import signature_agrees

_STEP_S = 0.05


@dataclass(frozen=True)
class SheetScores:
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


def sheet_scores(heard: LeadSheet, truth: LeadSheet) -> SheetScores:
    """Compare two sheets of one song."""
    beats_s, true_beats_s = np.array(heard.beats_s), np.array(truth.beats_s)
    times_s = np.arange(_STEP_S / 2, truth.duration_s, _STEP_S)
    roots = [(Chord.parse(truth.chord_at(at_s)).root, Chord.parse(heard.chord_at(at_s)).root) for at_s in times_s]
    right = [true == found for true, found in roots if true is not None]
    return SheetScores(
        beat_f=beat_score(true_beats_s, beats_s),
        tempo=float(tempo_agrees(tempo_bpm(true_beats_s), tempo_bpm(beats_s))),
        downbeat_f=beat_score(np.array(truth.downbeats_s), np.array(heard.downbeats_s)),
        root=float(np.mean(right)) if right else float("nan"),
        key=float(heard.key is not None and signature_agrees(truth.key, heard.key)) if truth.key else float("nan"),
    )


def mean_scores(songs: Sequence[SheetScores]) -> SheetScores:
    """Means over the songs for which a value is known."""
    return SheetScores(*np.nanmean([astuple(song) for song in songs], axis=0).tolist())
