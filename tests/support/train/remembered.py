"""What was made of a recording once is not made again: most tests have the same toy songs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest

from samuel_train.evaluate.features import Features
from samuel_train.evaluate.report import clips

_Made = TypeVar("_Made")


def _remembered(make: Callable[[np.ndarray, int], _Made]) -> Callable[[np.ndarray, int], _Made]:
    """Equal recordings give the same object."""
    made: dict[tuple[str, int, tuple[int, ...]], _Made] = {}

    def remembered(samples: np.ndarray, sample_rate_hz: int) -> _Made:
        content = hashlib.sha256(np.ascontiguousarray(samples, np.float32)).hexdigest()
        key = (content, sample_rate_hz, samples.shape)
        if key not in made:
            made[key] = make(samples, sample_rate_hz)
        return made[key]

    return remembered


_features, _mp3 = _remembered(Features.of), _remembered(clips.mp3)


def remember_features(patch: pytest.MonkeyPatch) -> None:
    """Let equal recordings have the same features and the same clips."""
    patch.setattr(Features, "of", _features)
    patch.setattr(clips, "mp3", _mp3)
