"""How loud a recording is, in constant memory: peak and gated RMS, as ITU-R BS.1770 gates, without its weighting."""

from __future__ import annotations

from dataclasses import dataclass

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
    """RMS of the parts that sound; ``-inf`` for silence."""

    @property
    def silent(self) -> bool:
        """Whether nothing in the recording rises above the absolute gate."""
        return self.rms_db == -np.inf


class Meter:
    """Measures blocks of any size as they pass."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._block_samples = max(1, round(_BLOCK_S * sample_rate_hz))
        self._pending: list[tuple[float, int]] = []
        self._powers: list[float] = []
        self._peak = 0.0

    def add(self, samples: np.ndarray) -> None:
        """Take in the next (samples, channels)."""
        if not len(samples):
            return
        self._peak = max(self._peak, float(np.abs(samples).max()))
        power = np.mean(np.square(samples, dtype=np.float64), axis=1)
        while len(power):
            missing = self._block_samples - sum(count for _, count in self._pending)
            head, power = power[:missing], power[missing:]
            self._pending.append((float(head.sum()), len(head)))
            if len(head) == missing:
                self._settle()

    def level(self) -> Level:
        """The level of everything added so far."""
        powers = self._powers + ([_mean(self._pending)] if self._pending else [])
        loud = _above(np.array(powers), SILENCE_DB)
        if not len(loud):
            return Level(self._peak, -np.inf)
        gated = _above(loud, _decibels(loud.mean()) + _RELATIVE_GATE_DB)
        return Level(self._peak, _decibels(gated.mean()))

    def _settle(self) -> None:
        self._powers.append(_mean(self._pending))
        self._pending = []


def gain_from_db(decibels: float) -> float:
    """Linear gain of a level difference."""
    return float(10 ** (decibels / 20))


def _mean(parts: list[tuple[float, int]]) -> float:
    return sum(total for total, _ in parts) / sum(count for _, count in parts)


def _above(powers: np.ndarray, gate_db: float) -> np.ndarray:
    return powers[powers > 10 ** (gate_db / 10)]


def _decibels(power: float) -> float:
    return float(10 * np.log10(power))
