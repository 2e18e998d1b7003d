"""A row of the results: the scores of all songs under one case or control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.scores import METRICS, Scores

_DIGITS = 6


class Kind(str, Enum):
    """What was listened to; the value is the row's name in tables and pictures."""

    VOICE = "voice"
    """No row of its own."""
    TRUTH = "true band"
    """Shows what the estimators of key and beats themselves get right."""
    CODEC = "true band through the codec"
    """The ceiling."""
    OTHER = "another song's band"
    """The floor: what a band that ignores the voice would get."""
    CASE = "generated"


@dataclass(frozen=True)
class Summary:
    """One metric over the songs."""

    mean: float
    standard_error: float
    """Of the mean; 0 for one song."""


def summary_of(values: Sequence[float | None]) -> Summary | None:
    """Mean and standard error of the values that are there; None if none is."""
    there = [value for value in values if value is not None]
    if not there:
        return None
    error = float(np.std(there, ddof=1) / np.sqrt(len(there))) if len(there) > 1 else 0.0
    return Summary(float(np.mean(there)), error)


@dataclass(frozen=True)
class Row:
    """One line of the results."""

    kind: Kind
    """What was listened to."""
    case: Case | None
    """How it was generated; None for what was not."""
    scores: Sequence[Scores]
    """One per song."""
    sound: float | None
    """Fréchet distance over all songs; None where another song's band is the recording, which is its own truth."""

    @property
    def name(self) -> str:
        """For people."""
        return self.kind.value if self.case is None else str(self.case)

    def values(self, metric: str) -> list[float | None]:
        """One value per song; None where the song has no such truth."""
        return [one.get(metric) for one in self.scores]

    def summary(self, metric: str) -> Summary | None:
        """Mean over the songs that have a value, None if none has; of ``sound`` the one number."""
        if metric == "sound":
            return None if self.sound is None else Summary(self.sound, 0.0)
        return summary_of(self.values(metric))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: what it is, means with their standard errors, and every song's value."""
        case = None if self.case is None else self.case.to_dict()
        metrics: dict[str, Any] = {}
        for metric in METRICS:
            summary = self.summary(metric.name)
            if summary is not None:
                metrics[metric.name] = {
                    "mean": round(summary.mean, _DIGITS),
                    "standard_error": round(summary.standard_error, _DIGITS),
                    "songs": [None if v is None else round(v, _DIGITS) for v in self.values(metric.name)],
                }
        sound = None if self.sound is None else round(self.sound, _DIGITS)
        return {"kind": self.kind.name.lower(), "case": case, "sound": sound, "metrics": metrics}
