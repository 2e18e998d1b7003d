"""Level, silence, clipping and width of signals that have a known one."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.evaluate.metrics.sound import clipping_share, level_db, side_share, silence_share
from tests.support.train import signals

_RATE = signals.RATE_HZ
_SINE = signals.stereo(0.5 * np.sin(2 * np.pi * 441 * np.arange(2 * _RATE) / _RATE))


def test_level_of_a_sine_and_of_silence() -> None:
    assert level_db(_SINE, _RATE) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert level_db(0.5 * _SINE, _RATE) - level_db(_SINE, _RATE) == pytest.approx(-6.02, abs=0.01)
    assert level_db(signals.silence(2), _RATE) == -70


def test_share_of_silence() -> None:
    quarter = np.concatenate([_SINE, _SINE, _SINE, signals.silence(2)])
    assert silence_share(quarter, _RATE) == pytest.approx(0.25)
    assert silence_share(1e-3 * _SINE, _RATE) == 1
    assert silence_share(3e-3 * _SINE, _RATE) == 0


def test_share_of_clipping() -> None:
    samples = signals.silence(1)
    samples[:441, 0] = 1.0
    samples[:441, 1] = -1.2
    samples[441:882] = 0.99
    assert clipping_share(samples) == pytest.approx(0.01)


def test_width_of_one_two_and_opposite_channels() -> None:
    other = signals.noise(2, seed=1)
    wide = np.stack([signals.noise(2, seed=0)[:, 0], other[:, 0]], axis=1)
    assert side_share(_SINE) == 0
    assert side_share(wide) == pytest.approx(0.5, abs=0.02)
    assert side_share(_SINE * np.array([1, -1], dtype=np.float32)) == 1
    assert side_share(_SINE[:, :1]) == 0
    assert side_share(signals.silence(1)) == 0
