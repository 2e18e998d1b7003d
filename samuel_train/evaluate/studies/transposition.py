"""Does the band follow the voice's key? The voice is moved by some semitones, and the band's chroma must move along.

Each band is compared with the band of the voice as it is, turned by every number of semitones: the turn that correlates
best should be the voice's. That needs no true band and no known key, so any recording of singing can be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.metrics.harmony import correlation

_DIGITS = 4


class Pooling(str, Enum):
    """Over what chroma is averaged before it is compared."""

    SPANS = "spans"
    """Every second; correlations are averaged. Harmony must move where it stands."""
    WHOLE = "whole"
    """The whole recording: its tonality alone."""


@dataclass(frozen=True)
class Shift:
    """One moved voice and what its band did."""

    semitones: int
    """How far the voice moved."""
    curves: dict[Pooling, tuple[float, ...]]
    """Correlation with the unmoved band turned up by 0 .. 11 semitones."""

    @classmethod
    def of(cls, semitones: int, unmoved: np.ndarray, moved: np.ndarray) -> Shift:
        """Compare chroma (12, spans) of the band of the voice as it is with that of the moved voice."""
        mean, moved_mean = (chroma.mean(axis=1, keepdims=True) for chroma in (unmoved, moved))
        return cls(semitones, {Pooling.SPANS: _turned(unmoved, moved), Pooling.WHOLE: _turned(mean, moved_mean)})

    def best(self, pooling: Pooling) -> int:
        """The turn that correlates best, -5 .. 6 semitones."""
        return (int(np.argmax(self.curves[pooling])) + 5) % 12 - 5

    def right(self, pooling: Pooling, semitones: int | None = None) -> bool:
        """Whether the best turn is the voice's, or another number of semitones."""
        return (self.best(pooling) - (self.semitones if semitones is None else semitones)) % 12 == 0

    def at(self, pooling: Pooling, semitones: int) -> float:
        """The correlation at a turn."""
        return self.curves[pooling][semitones % 12]

    def others(self, pooling: Pooling) -> tuple[float, float]:
        """Mean and maximum of the correlations at the eleven wrong turns."""
        wrong = [value for turn, value in enumerate(self.curves[pooling]) if (turn - self.semitones) % 12]
        return float(np.mean(wrong)), float(np.max(wrong))

    def to_dict(self, pooling: Pooling) -> dict[str, Any]:
        """Plain values for JSON."""
        mean, largest = self.others(pooling)
        return {
            "semitones": self.semitones,
            "best": self.best(pooling),
            "correlation": round(self.at(pooling, self.semitones), _DIGITS),
            "others_mean": round(mean, _DIGITS),
            "others_max": round(largest, _DIGITS),
        }


@dataclass(frozen=True)
class Followed:
    """All shifts of one kind of recording."""

    name: str
    """For people."""
    shifts: tuple[Shift, ...]
    """In the order they were asked for; at least two."""

    def right(self, pooling: Pooling) -> int:
        """How many shifts were followed; a band that does not hear the voice gets a twelfth of them by chance."""
        return sum(shift.right(pooling) for shift in self.shifts)

    def margin(self, pooling: Pooling) -> float:
        """The correlation at the right turn less the mean at the wrong ones, averaged over the shifts."""
        return float(np.mean([s.at(pooling, s.semitones) - s.others(pooling)[0] for s in self.shifts]))

    def shuffled_right(self, pooling: Pooling) -> float:
        """How many would be right if every band were handed to another shift: the mean over all such assignments."""
        pairs = [(one, other) for one in self.shifts for other in self.shifts if other is not one]
        return float(np.mean([one.right(pooling, other.semitones) for one, other in pairs])) * len(self.shifts)

    def around(self, pooling: Pooling) -> np.ndarray:
        """Correlations by distance from the right turn, -5 .. 6 semitones, (12,), averaged over the shifts."""
        return np.mean([[s.at(pooling, s.semitones + away) for away in range(-5, 7)] for s in self.shifts], axis=0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            pooling.value: {
                "right": self.right(pooling),
                "of": len(self.shifts),
                "shuffled_right": round(self.shuffled_right(pooling), _DIGITS),
                "margin": round(self.margin(pooling), _DIGITS),
                "around": [round(float(value), _DIGITS) for value in self.around(pooling)],
                "shifts": [shift.to_dict(pooling) for shift in self.shifts],
            }
            for pooling in Pooling
        }


@dataclass(frozen=True)
class Transposition:
    """The test on one voice."""

    voice: str
    """Name of the recording."""
    case: Case
    """How its bands were generated."""
    seeds: int
    """Bands whose chroma was averaged for each shift."""
    band: Followed
    """What the bands did."""
    controls: Sequence[Followed]
    """The moved voices themselves, as they are and through the codec: what a band has to go by."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "voice": self.voice,
            "case": self.case.to_dict(),
            "seeds": self.seeds,
            "band": self.band.to_dict(),
            "controls": {control.name: control.to_dict() for control in self.controls},
        }


def _turned(unmoved: np.ndarray, moved: np.ndarray) -> tuple[float, ...]:
    return tuple(correlation(np.roll(unmoved, turn, axis=0), moved) for turn in range(12))
