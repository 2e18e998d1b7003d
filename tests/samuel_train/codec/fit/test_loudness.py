"""Compressors and floors: quiet parts rise, the loudest stay; noise of a level between the two that are named."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.codec.fit import loudness as module
from samuel_train.codec.fit.loudness import compressed, with_floor

RATE_HZ = 44100


def loud_then_quiet() -> np.ndarray:
    """Half a second of noise at full level, half a second 40 dB below it."""
    audio = 0.1 * np.random.default_rng(0).standard_normal((2, RATE_HZ)).astype(np.float32)
    audio[:, RATE_HZ // 2 :] *= 0.01
    return audio


def halves_db(audio: np.ndarray) -> tuple[float, float]:
    """Levels of the first and the last 0.4 s."""
    first, last = audio[:, :17_640], audio[:, -17_640:]
    return tuple(float(10 * np.log10(np.square(each).mean())) for each in (first, last))  # type: ignore[return-value]


@pytest.mark.parametrize("seed", range(4))
def test_a_compressor_raises_what_is_quiet_and_keeps_what_is_loud(seed: int) -> None:
    audio = loud_then_quiet()
    amount = np.random.default_rng(seed).uniform(0, 0.6)
    loud, quiet = halves_db(compressed(np.random.default_rng(seed), audio, RATE_HZ))
    true_loud, true_quiet = halves_db(audio)
    assert loud == pytest.approx(true_loud, abs=1.5)
    assert quiet - true_quiet == pytest.approx(40 * amount, abs=1.5)


def test_silence_stays_silent_and_what_is_near_it_is_raised_no_further_than_the_deepest() -> None:
    silence = np.zeros((2, 5000), np.float32)
    assert not compressed(np.random.default_rng(0), silence, RATE_HZ).any()
    nearly = loud_then_quiet()
    nearly[:, RATE_HZ // 2 :] *= 1e-4
    _, quiet = halves_db(compressed(np.random.default_rng(3), nearly, RATE_HZ))
    assert quiet - halves_db(nearly)[1] <= 0.6 * 50 + 0.5


def test_a_floor_is_pink_to_white_and_of_the_level_it_was_drawn_for(monkeypatch: pytest.MonkeyPatch) -> None:
    silence = np.zeros((2, RATE_HZ), np.float32)
    levels = [
        10 * np.log10(np.square(with_floor(np.random.default_rng(seed), silence, RATE_HZ)).mean()) for seed in range(40)
    ]
    assert -85.1 < min(levels) < -75 and -50 < max(levels) < -39.9
    monkeypatch.setattr(module, "_FLOOR_EXPONENT", (-1.0, -1.0))
    pink = np.square(np.abs(np.fft.rfft(with_floor(np.random.default_rng(0), silence, RATE_HZ)[0])))
    assert 10 * np.log10(pink[900:1100].mean() / pink[9000:11_000].mean()) == pytest.approx(10, abs=1)


def test_both_keep_shape_and_type() -> None:
    audio = loud_then_quiet()
    for change in (compressed, with_floor):
        made = change(np.random.default_rng(0), audio, RATE_HZ)
        assert made.shape == audio.shape and made.dtype == np.float32 and np.isfinite(made).all()
