"""The stereo width of a sound: what its channels differ in, beside what they share."""

from __future__ import annotations

import numpy as np

from samuel_runtime.audio.channels import middle
from samuel_runtime.audio.level import gain_from_db


def with_side_gain(samples: np.ndarray, gain_db: float) -> np.ndarray:
    """The sound with its side signals raised: what each channel has beside the mean of all.

    Args:
        samples: float32 (samples, channels).
        gain_db: 0 gives back the very samples; nothing of a mono sound is changed.
    """
    if gain_db == 0:
        return samples
    mid = middle(samples)
    return np.asarray(mid + np.float32(gain_from_db(gain_db)) * (samples - mid))
