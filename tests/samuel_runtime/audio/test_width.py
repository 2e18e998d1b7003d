"""Side signals are raised, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.audio.width import with_side_gain

SOUND = np.random.default_rng(4).normal(size=(1000, 2)).astype(np.float32)


def test_the_side_is_raised_and_the_mid_is_kept() -> None:
    raised = with_side_gain(SOUND, 6.0)
    assert raised.dtype == np.float32
    np.testing.assert_allclose(raised.mean(axis=1), SOUND.mean(axis=1), atol=1e-6)
    side, before = raised[:, 0] - raised[:, 1], SOUND[:, 0] - SOUND[:, 1]
    np.testing.assert_allclose(side, 10 ** (6 / 20) * before, rtol=1e-4, atol=1e-5)


def test_no_gain_gives_back_the_very_samples() -> None:
    assert with_side_gain(SOUND, 0.0) is SOUND


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_nothing_of_a_mono_sound_is_changed(channels: int) -> None:
    mono = np.repeat(SOUND[:, :1], channels, axis=1)
    np.testing.assert_allclose(with_side_gain(mono, 9.0), mono, atol=1e-6)
