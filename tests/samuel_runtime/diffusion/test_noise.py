from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_runtime.diffusion.noise import noise

SONG = noise(seed=3, draw=800, start=0, frames=2000, channels=64)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1900), st.integers(0, 100))
def test_a_window_sees_what_the_song_holds_there(start: int, frames: int) -> None:
    np.testing.assert_array_equal(noise(3, 800, start, frames, 64), SONG[:, start : start + frames])


def test_shape_and_type() -> None:
    assert SONG.shape == (64, 2000)
    assert SONG.dtype == np.float32 and SONG.flags.c_contiguous


def test_moments_are_those_of_the_normal_distribution() -> None:
    x = SONG.astype(np.float64)
    error = 4 / np.sqrt(x.size)
    assert abs(x.mean()) < error
    assert abs(x.var() - 1) < error * np.sqrt(2)
    assert abs((x**3).mean()) < error * np.sqrt(15)
    assert abs((x**4).mean() - 3) < error * np.sqrt(96)
    assert np.abs(x).max() > 4  # the tails are there


def test_frames_and_channels_are_uncorrelated() -> None:
    bound = 4 / np.sqrt(SONG.size)
    assert abs((SONG[:, 1:] * SONG[:, :-1]).mean()) < bound
    assert abs((SONG[1::2] * SONG[::2]).mean()) < 4 / np.sqrt(SONG.size / 2)


@pytest.mark.parametrize("seed, draw", [(4, 800), (3, 799), (3 + (1 << 32), 800), (-3, 800), (800, 3)])
def test_other_seeds_and_draws_are_uncorrelated(seed: int, draw: int) -> None:
    assert abs((SONG * noise(seed, draw, 0, 2000, 64)).mean()) < 4 / np.sqrt(SONG.size)


@pytest.mark.parametrize("seed", [-1, -(1 << 63), (1 << 63) - 1, 1 << 200])
def test_any_seed_gives_finite_noise(seed: int) -> None:
    x = noise(seed, 0, 0, 50, 64)
    assert np.isfinite(x).all() and x.std() > 0.9


def test_far_positions_are_addressed_as_near_ones() -> None:
    far = 1 << 50
    whole = noise(0, 1, far, 40, 64)
    np.testing.assert_array_equal(whole[:, 30:], noise(0, 1, far + 30, 10, 64))
    assert np.isfinite(whole).all()


def test_the_noise_of_a_seed_never_changes() -> None:
    # Takes are promised to be reproducible across versions: these numbers are a contract.
    expected = [-1.0562793, -0.5491198, -0.7638428, -1.3847574]
    np.testing.assert_allclose(noise(7, 800, 5, 1, 4)[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("draw, start, frames, channels", [(0, 0, 4, 6), (-1, 0, 4, 4), (0, -1, 4, 4), (0, 0, -4, 4)])
def test_impossible_addresses_are_refused(draw: int, start: int, frames: int, channels: int) -> None:
    with pytest.raises(ValueError, match="no noise"):
        noise(0, draw, start, frames, channels)
