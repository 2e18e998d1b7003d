"""Recordings made anew: linear, of the same size, and each of the three things happens to some."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.codec.fit import recorded as module
from samuel_train.codec.fit.recorded import recorded

RATE_HZ = 44100
NEVER, ALWAYS = 0.0, 1.0


def noise(seed: int, samples: int = 30_000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, samples)).astype(np.float32)


def level_db(audio: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.square(np.abs(np.fft.rfft(audio))).sum(axis=0)
    hz = np.fft.rfftfreq(audio.shape[1], 1 / RATE_HZ)
    return float(10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].mean()))


@pytest.mark.parametrize("seed", range(8))
def test_the_same_draws_are_one_linear_filter(seed: int) -> None:
    first, second = noise(1), noise(2)
    of_each = [recorded(np.random.default_rng(seed), audio, RATE_HZ) for audio in (first, second)]
    of_sum = recorded(np.random.default_rng(seed), first + second, RATE_HZ)
    assert of_sum.shape == first.shape and of_sum.dtype == np.float32
    np.testing.assert_allclose(of_sum, sum(of_each), atol=1e-4)


def test_tones_differ_by_some_decibels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROOM_SHARE", NEVER)
    monkeypatch.setattr(module, "_LIMITED_SHARE", NEVER)
    audio = noise(0)
    gains = [
        level_db(recorded(np.random.default_rng(seed), audio, RATE_HZ), 1150, 1250) - level_db(audio, 1150, 1250)
        for seed in range(60)
    ]
    assert -9 < min(gains) < -5 and 5 < max(gains) < 9


def test_a_format_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROOM_SHARE", NEVER)
    monkeypatch.setattr(module, "_LIMITED_SHARE", ALWAYS)
    limited = recorded(np.random.default_rng(0), noise(0), RATE_HZ)
    assert level_db(limited, 17_500, 22_000) < level_db(limited, 1000, 3500) - 40


def test_a_room_sounds_on_after_a_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TONE_DB", 0.0)
    monkeypatch.setattr(module, "_LIMITED_SHARE", NEVER)
    click = np.zeros((2, 20_000), np.float32)
    click[:, 2000] = 1
    energies = {}
    for share in (NEVER, ALWAYS):
        monkeypatch.setattr(module, "_ROOM_SHARE", share)
        response = recorded(np.random.default_rng(0), click, RATE_HZ)
        np.testing.assert_allclose(response[:, 2000], 1, atol=1e-3)
        assert np.abs(response[:, :2000]).max() < 1e-4  # nothing before it, nor wrapped round
        energies[share] = float(np.square(response[:, 2001:]).sum())
    assert energies[NEVER] < 1e-6
    assert 10**-2.4 < energies[ALWAYS] / 2 < 10**-0.6
