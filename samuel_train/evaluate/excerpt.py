"""The part of a recording that is worth hearing where the whole is too long."""

from __future__ import annotations

import numpy as np


def loudest_start(samples: np.ndarray, length: int) -> int:
    """Where the stretch of ``length`` samples of (samples, channels) begins that has the most power; 0 if all fit."""
    if len(samples) <= length:
        return 0
    power = np.square(samples, dtype=np.float64).sum(axis=1)
    reached = np.concatenate([[0.0], np.cumsum(power)])
    return int(np.argmax(reached[length:] - reached[:-length]))
