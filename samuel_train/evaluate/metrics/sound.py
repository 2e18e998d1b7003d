"""Level, silence, clipping and width of a recording, (samples, channels) with full scale at 1."""

from __future__ import annotations

import numpy as np

from samuel_runtime.audio.level import SILENCE_DB, Meter

_BLOCK_S = 0.05
_SILENCE_DBFS = -60.0
_FULL_SCALE = 0.999


def level_db(samples: np.ndarray, sample_rate_hz: int) -> float:
    """Gated RMS in dB of full scale; silence is the gate, -70 dB, so that differences stay finite."""
    meter = Meter(sample_rate_hz)
    meter.add(samples)
    return max(meter.level().rms_db, SILENCE_DB)


def silence_share(samples: np.ndarray, sample_rate_hz: int) -> float:
    """Share of blocks of 50 ms whose RMS is below -60 dB of full scale; a rest that fills no block is not judged."""
    block = round(_BLOCK_S * sample_rate_hz)
    blocks = len(samples) // block
    if not blocks:
        return 0.0
    power = np.square(samples[: blocks * block], dtype=np.float64).mean(axis=1).reshape(blocks, block).mean(axis=1)
    return float(np.mean(power < 10 ** (_SILENCE_DBFS / 10)))


def clipping_share(samples: np.ndarray) -> float:
    """Share of samples, over all channels, at or above 0.999 of full scale."""
    return float(np.mean(np.abs(samples) >= _FULL_SCALE))


def side_share(samples: np.ndarray) -> float:
    """Stereo width: the side signal's share of the power, 0 mono, 0.5 two independent channels, 1 opposite ones."""
    if samples.shape[1] != 2:
        return 0.0
    left, right = samples.T.astype(np.float64)
    mid, side = np.sum(np.square(left + right)), np.sum(np.square(left - right))
    return float(side / (mid + side)) if mid + side > 0 else 0.0
