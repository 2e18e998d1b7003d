from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_runtime.audio.level import Level, Meter, gain_from_db
from tests.support.runtime.commands import RATE_HZ, singing


def _level(samples: np.ndarray, size: int = 1 << 16) -> Level:
    meter = Meter(RATE_HZ)
    for start in range(0, len(samples), size):
        meter.add(samples[start : start + size])
    return meter.level()


def test_a_sine_of_full_scale_lies_3_db_under_its_peak() -> None:
    sine = np.sin(2 * np.pi * 441 * np.arange(RATE_HZ * 2) / RATE_HZ)[:, None]
    level = _level(sine)
    assert level.rms_db == pytest.approx(-3.01, abs=0.01)
    assert level.peak == pytest.approx(1, abs=1e-3)


SUNG = singing(2.3, channels=2)
WHOLE = _level(SUNG)


@settings(deadline=None, max_examples=20)
@given(st.integers(500, 100_000))
def test_block_sizes_do_not_matter(size: int) -> None:
    level = _level(SUNG, size)
    assert level.peak == WHOLE.peak
    assert level.rms_db == pytest.approx(WHOLE.rms_db, abs=1e-6)


def test_pauses_do_not_count() -> None:
    voice = singing(2.0)
    with_pauses = np.concatenate([np.zeros_like(voice), voice, 1e-5 * voice])
    assert _level(with_pauses).rms_db == pytest.approx(_level(voice).rms_db, abs=0.1)


@pytest.mark.parametrize("samples", [np.zeros((RATE_HZ, 1)), np.zeros((0, 2)), np.full((RATE_HZ, 1), 1e-4)])
def test_what_stays_under_the_gate_is_silent(samples: np.ndarray) -> None:
    assert _level(samples).silent


def test_less_than_a_block_is_measured_too() -> None:
    assert _level(np.resize([0.5, -0.5], (10, 1))).rms_db == pytest.approx(-6.02, abs=0.01)


def test_a_constant_offset_counted_as_loudness() -> None:
    voice = singing(2.0, channels=2, amplitude=0.01)
    level = _level(voice + np.array([0.3, -0.1]))
    assert level.rms_db == pytest.approx(_level(voice).rms_db, abs=0.01)
    assert level.offsets == pytest.approx((0.3, -0.1), abs=1e-4)
    assert level.peak > 0.3
    assert _level(np.full((RATE_HZ, 1), 0.3)).silent


def test_a_voice_in_one_of_eight_channels_was_measured_louder_than_its_mix() -> None:
    voice = np.zeros((RATE_HZ, 8), np.float32)
    voice[:, 5:6] = singing(1.0)
    mixed = _level(voice.mean(axis=1, keepdims=True))
    assert _level(voice).laid_out(2).rms_db == pytest.approx(mixed.rms_db, abs=0.01)
    assert _level(voice).rms_db == pytest.approx(mixed.rms_db + 9.03, abs=0.01)
    assert _level(voice).cancellation_db == pytest.approx(0, abs=0.01)


def test_the_level_of_channels_that_are_kept_is_their_own() -> None:
    stereo = _level(singing(1.0, channels=2) * [1.0, 0.1])
    assert stereo.laid_out(2) == stereo != stereo.laid_out(1)
    mono = _level(singing(1.0))
    assert mono.laid_out(1) == mono.laid_out(2) == mono


@pytest.mark.parametrize("gains, cancelled_db", [([1, 1], 0), ([1, 0], 0), ([1, -1], np.inf), ([1, -0.8], 16.1)])
def test_channels_that_cancel_are_told_from_those_that_are_unrelated(gains: list[float], cancelled_db: float) -> None:
    voice = singing(1.0) * np.array(gains)
    assert _level(voice).cancellation_db == pytest.approx(cancelled_db, abs=0.1)
    assert _level(np.random.default_rng(0).normal(size=(RATE_HZ, 4))).cancellation_db < 0.1


def test_gain_from_db() -> None:
    assert gain_from_db(20) == pytest.approx(10)
    assert gain_from_db(-3) == pytest.approx(0.7079, abs=1e-4)
