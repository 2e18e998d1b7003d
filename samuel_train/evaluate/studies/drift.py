"""What a band is like from one window of a long song to the next, and how much of it changes in a minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

from samuel_runtime.diffusion.windows import Window
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.features import Features
from samuel_train.evaluate.metrics.beats import click_offset_ms
from samuel_train.evaluate.metrics.harmony import correlation
from samuel_train.evaluate.report.rows import Summary, summary_of
from samuel_train.evaluate.scores import Metric, Scores, Truth

MEASURES = (
    Metric("key", "key of the window against the true key, as above"),
    Metric("harmony", "correlation of chroma with the true band's in the window, per half bar"),
    Metric("home", "correlation of the window's mean chroma with the first window's; how far the key has wandered"),
    Metric("tempo", "tempo against the true one, per cent, at the octave where they are nearest"),
    Metric("click", "attacks against the true beats, ms late: the median over beats with one within 70 ms"),
    Metric("level", "loudness against the true band's in the window, dB"),
)
"""What is measured in every window."""
_CONFIDENCE = 0.95
_DIGITS = 4


@dataclass(frozen=True)
class Slope:
    """How much a measure changes in a minute, over the songs."""

    per_minute: float
    """The mean of the songs' slopes, least squares each."""
    half_width: float | None
    """Of its 95 % interval (Student's t); None for one song. An interval without 0 is drift."""


@dataclass(frozen=True)
class Drift:
    """One length of song under one case, or the true bands."""

    minutes: float
    """Length of the songs."""
    case: Case | None
    """How the bands were generated; None for the true bands, which show what the music itself does."""
    spans_s: tuple[tuple[float, float], ...]
    """What each window settled, see :func:`settled`."""
    songs: tuple[str, ...]
    """Names."""
    scores: Sequence[Sequence[Scores]]
    """Of every song, then of every window; without ``tempo`` or ``click`` where there are no beats."""

    @property
    def name(self) -> str:
        """For people."""
        return f"{'true band' if self.case is None else self.case}, {self.minutes:g} min"

    @property
    def centres_min(self) -> np.ndarray:
        """The middle of every window, minutes."""
        return np.array(self.spans_s).mean(axis=1) / 60

    def at(self, metric: str) -> list[Summary | None]:
        """Mean over the songs in every window."""
        return [summary_of([song[window].get(metric) for song in self.scores]) for window in range(len(self.spans_s))]

    def slope(self, metric: str) -> Slope | None:
        """The drift; None if no song has two values. ``home`` has none in the first window, where it is 1."""
        slopes = [slope for song in self.scores if (slope := self._slope(song, metric)) is not None]
        summary = summary_of(slopes)
        if summary is None:
            return None
        count = len(slopes)
        reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1)) if count > 1 else None
        return Slope(summary.mean, None if reach is None else reach * summary.standard_error)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        metrics: dict[str, Any] = {}
        for measure in MEASURES:
            slope = self.slope(measure.name)
            windows = [None if one is None else round(one.mean, _DIGITS) for one in self.at(measure.name)]
            metrics[measure.name] = {
                "windows": windows,
                "per_minute": None if slope is None else round(slope.per_minute, _DIGITS),
                "half_width_95": None
                if slope is None or slope.half_width is None
                else round(slope.half_width, _DIGITS),
                "songs": [[_rounded(window.get(measure.name)) for window in song] for song in self.scores],
            }
        return {
            "minutes": self.minutes,
            "case": None if self.case is None else self.case.to_dict(),
            "windows_s": [[round(start, 2), round(stop, 2)] for start, stop in self.spans_s],
            "songs": list(self.songs),
            "metrics": metrics,
        }

    def _slope(self, song: Sequence[Scores], metric: str) -> float | None:
        there = [(at, one[metric]) for at, one in zip(self.centres_min, song, strict=True) if metric in one]
        if metric == "home":
            there = there[1:]
        if len(there) < 2:
            return None
        minutes, values = np.array(there).T
        return float(np.polyfit(minutes, values, 1)[0])


def settled(windows: Sequence[Window], frame_s: float, duration_s: float) -> list[tuple[float, float]]:
    """(start, stop) seconds of what each window adds to the windows before it.

    What adds less than half of what the first one does, as the last may, is counted with the one before.
    """
    starts = [(window.start + window.prefix_frames) * frame_s for window in windows] + [duration_s]
    spans = [(start, stop) for start, stop in pairwise(starts) if stop > start]
    if len(spans) > 1 and spans[-1][1] - spans[-1][0] < 0.5 * (spans[0][1] - spans[0][0]):
        spans[-2:] = [(spans[-2][0], spans[-1][1])]
    return spans


def measured(truth: Truth, first: Features, window: Features) -> Scores:
    """The measures of one window.

    Args:
        truth: of the song in this window.
        first: the same band in the first window.
        window: the band in this window.
    """
    judged = truth.judge(window)
    scores = {name: judged[name] for name in ("key", "harmony", "level")}
    scores["home"] = correlation(*(features.chroma.mean(axis=1, keepdims=True) for features in (first, window)))
    if np.isfinite(late_ms := click_offset_ms(window.attacks_s, truth.beats_s)):
        scores["click"] = late_ms
    if window.tempo_bpm > 0 and truth.tempo_bpm > 0:
        octaves = np.log2(window.tempo_bpm / truth.tempo_bpm)
        scores["tempo"] = float(100 * (2 ** (octaves - np.round(octaves)) - 1))
    return scores


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
