"""How loud a recording is, in constant memory: peak and gated RMS, as ITU-R BS.1770 gates, without its weighting.

A constant offset is no sound: each block is measured about its own mean. So that a voice is measured as an encoder
hears it, the mean of its channels is measured beside the channels themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SILENCE_DB = -70.0
"""Absolute gate of BS.1770: what is below does not count as sound."""
_RELATIVE_GATE_DB = -10.0
_BLOCK_S = 0.4


@dataclass(frozen=True)
class Level:
    """What a :class:`Meter` measured; decibels relative to full scale."""

    peak: float
    """Largest absolute sample, linear."""
    rms_db: float
    """RMS of the parts that sound, over all channels; ``-inf`` for silence."""
    mixed_rms_db: float
    """The same of the channels' mean, to which several are mixed down."""
    offsets: tuple[float, ...]
    """Mean of each channel, linear: the constant part, which nobody hears."""
    cancellation_db: float
    """How much quieter the channels' mean is than that of unrelated channels; 0 if it is not."""

    @property
    def silent(self) -> bool:
        """Whether nothing in the recording rises above the absolute gate."""
        return self.rms_db == -np.inf

    def laid_out(self, channels: int) -> Level:
        """The level on so many channels: that of the recording's own, or of their mean where they are mixed down."""
        return self if len(self.offsets) in (1, channels) else replace(self, rms_db=self.mixed_rms_db)


class Meter:
    """Measures blocks of any size as they pass."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._block_samples = max(1, round(_BLOCK_S * sample_rate_hz))
        self._peak, self._count = 0.0, 0
        self._totals = np.zeros(0)  # of each channel
        self._pending, self._pending_count = (
            np.zeros((2, 1)),
            0,
        )  # sums and sums of squares, of each channel and the mean
        self._powers: list[tuple[float, float]] = []  # over the channels, and of their mean

    def add(self, samples: np.ndarray) -> None:
        """Take in the next (samples, channels)."""
        if not len(samples):
            return
        self._peak = max(self._peak, float(np.abs(samples).max()))
        count, channels = samples.shape
        signals = np.empty((channels + 1, count))  # time runs along rows, along which sums are several times as quick
        signals[:-1] = samples.T
        np.mean(signals[:-1], axis=0, out=signals[-1])
        if not self._count:
            self._totals, self._pending = np.zeros(channels), np.zeros((2, channels + 1))
        self._count += count
        while signals.shape[1]:
            missing = self._block_samples - self._pending_count
            head, signals = signals[:, :missing], signals[:, missing:]
            sums = head.sum(axis=1)
            self._totals += sums[:-1]
            self._pending += [sums, np.einsum("ij,ij->i", head, head)]
            self._pending_count += head.shape[1]
            if head.shape[1] == missing:
                self._powers.append(self._pending_powers())
                self._pending, self._pending_count = np.zeros_like(self._pending), 0

    def level(self) -> Level:
        """The level of everything added so far."""
        rest = [self._pending_powers()] if self._pending_count else []
        powers = np.array(self._powers + rest).reshape(-1, 2)  # (blocks, over the channels and of their mean)
        offsets = tuple(float(total) / max(self._count, 1) for total in self._totals)
        cancellation_db = _cancellation_db(powers, len(offsets))
        return Level(self._peak, _gated_db(powers[:, 0]), _gated_db(powers[:, 1]), offsets, cancellation_db)

    def _pending_powers(self) -> tuple[float, float]:
        means, squares = self._pending / self._pending_count
        variances = np.maximum(squares - np.square(means), 0)
        return float(variances[:-1].mean()), float(variances[-1])


def gain_from_db(decibels: float) -> float:
    """Linear gain of a level difference."""
    return float(10 ** (decibels / 20))


def _gated_db(powers: np.ndarray) -> float:
    loud = _above(powers, SILENCE_DB)
    if not len(loud):
        return -np.inf
    return _decibels(_above(loud, _decibels(loud.mean()) + _RELATIVE_GATE_DB).mean())


def _cancellation_db(powers: np.ndarray, channels: int) -> float:
    """From (blocks, over the channels and of their mean)."""
    over_channels, of_mean = powers.sum(axis=0)
    if over_channels <= channels * of_mean:
        return 0.0
    return _decibels(over_channels / channels / of_mean) if of_mean > 0 else np.inf


def _above(powers: np.ndarray, gate_db: float) -> np.ndarray:
    return powers[powers > 10 ** (gate_db / 10)]


def _decibels(power: float) -> float:
    return float(10 * np.log10(power))
