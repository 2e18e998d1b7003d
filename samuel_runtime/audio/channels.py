"""What channels are together. Along two of them numpy's own reductions take five to ten times as long."""

from __future__ import annotations

from functools import reduce

import numpy as np


def middle(samples: np.ndarray) -> np.ndarray:
    """The mean over channels (samples, 1) of float32 (samples, channels)."""
    return (reduce(np.add, samples.T) / np.float32(samples.shape[1]))[:, None]


def loudest(samples: np.ndarray) -> np.ndarray:
    """The largest magnitude over channels (samples,) of (samples, channels)."""
    return reduce(np.maximum, np.abs(samples).T)
