"""Results whose every number is given."""

from __future__ import annotations

import numpy as np

from samuel_runtime.settings import Sampler
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.report.report import Subject
from samuel_train.evaluate.report.rows import Kind, Row
from samuel_train.evaluate.scores import METRICS, Scores
from samuel_train.evaluate.studies.drift import MEASURES, Drift
from samuel_train.evaluate.studies.transposition import Followed, Shift, Transposition

SUBJECT = Subject("0" * 64, "cpu fp32", ("a", "b"))
SEMITONES = (-5, 2)


def scores(value: float, chords: bool = True) -> Scores:
    """All metrics of a song at one value."""
    return {metric.name: value for metric in METRICS if chords or metric.name != "chords"}


def case(steps: int, value: float, guidance: float = 2.0) -> Row:
    """A row of two songs, the second 0.2 higher."""
    return Row(Kind.CASE, Case(Sampler.DDIM, guidance, steps, 7), [scores(value), scores(value + 0.2)], 3.25)


CEILING = Row(Kind.CODEC, None, [scores(0.9), scores(0.7)], 1.5)
FLOOR = Row(Kind.OTHER, None, [scores(0.1), scores(0.1)], None)


def moved(*turns: int) -> Followed:
    """What turned by ``turns`` when the voice was moved by SEMITONES."""
    chroma = np.random.default_rng(0).random((12, 9))
    shifts = zip(SEMITONES, turns, strict=True)
    return Followed("band", tuple(Shift.of(s, chroma, np.roll(chroma, turn, axis=0)) for s, turn in shifts))


def transposition(*turns: int, voice: str = "v.wav") -> Transposition:
    """A band that turned by ``turns``, and one control that is right."""
    control = Followed("voice", moved(*SEMITONES).shifts)
    return Transposition(voice, Case(Sampler.DDIM, 2.0, 4, 7), 3, moved(*turns), [control])


def drift(minutes: float, generated: bool) -> Drift:
    """Two songs in three windows: 1, 2, 3 in the first song, 2, 3, 4 in the second; true bands without tempo."""
    names = [measure.name for measure in MEASURES if generated or measure.name != "tempo"]
    songs = [[dict.fromkeys(names, song + window) for window in range(3)] for song in (1.0, 2.0)]
    spans = tuple((20.0 * window * minutes, 20.0 * (window + 1) * minutes) for window in range(3))
    return Drift(minutes, Case(Sampler.DDIM, 2.0, 4, 7) if generated else None, spans, ("a", "b"), songs)
