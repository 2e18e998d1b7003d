"""The Fréchet distance in closed form, and between sounds."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.evaluate.studies.patches import PatchSpace, frechet_distance, patches
from tests.support.train import signals

_CHORDS = [[48 + step, 55 + step, 64 + step] for step in (0, 5, 7, 2, 9, 4, 11, 6)]


def _patches(samples: np.ndarray) -> np.ndarray:
    return patches(samples, signals.RATE_HZ)


def test_distance_of_gaussians_in_closed_form() -> None:
    mean, other = np.array([1.0, -2.0]), np.array([4.0, 2.0])
    covariance, other_covariance = np.diag([4.0, 1.0]), np.diag([1.0, 9.0])
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    apart, spread = 9 + 16, (2 - 1) ** 2 + (1 - 3) ** 2
    assert frechet_distance(mean, covariance, other, other_covariance) == pytest.approx(apart + spread)
    turned = [rotation @ one @ rotation.T for one in (covariance, other_covariance)]
    assert frechet_distance(rotation @ mean, turned[0], rotation @ other, turned[1]) == pytest.approx(apart + spread)


def test_distance_of_gaussians_that_do_not_share_their_axes() -> None:
    # tr (C D)^1/2 of a 2 x 2 product is sqrt(tr CD + 2 sqrt(det CD)).
    c, d = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, -0.5], [-0.5, 4.0]])
    cross = np.sqrt(np.trace(c @ d) + 2 * np.sqrt(np.linalg.det(c @ d)))
    zero = np.zeros(2)
    assert frechet_distance(zero, c, zero, d) == pytest.approx(np.trace(c) + np.trace(d) - 2 * cross)


def test_the_space_whitens_the_truth() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((4000, 96)) * np.linspace(10, 0.1, 96)
    space = PatchSpace.fit(truth)
    np.testing.assert_allclose(space.covariance, np.eye(16), atol=1e-9)
    assert space.distance(truth) == pytest.approx(0, abs=1e-9)
    moved = truth.copy()
    moved[:, 0] += 20  # two standard deviations along the first axis
    assert space.distance(moved) == pytest.approx(4, rel=0.05)
    assert space.distance(truth.mean(axis=0) + 2 * (truth - truth.mean(axis=0))) == pytest.approx(16, rel=1e-6)


def test_few_or_equal_patches_span_a_smaller_space() -> None:
    rng = np.random.default_rng(0)
    few = rng.standard_normal((5, 96))
    assert PatchSpace.fit(few).axes.shape == (96, 4)
    assert PatchSpace.fit(np.ones((5, 96))).distance(few) == 0


def test_patches_are_half_a_second_and_hear_both_channels() -> None:
    samples = signals.chords(_CHORDS)
    found = _patches(samples)
    assert found.shape == (len(samples) // 1024 // 22, 96)
    opposite = samples * np.array([1, -1], dtype=np.float32)
    np.testing.assert_allclose(_patches(opposite), found, atol=1e-3)


def test_level_moves_the_first_coefficient_alone() -> None:
    loud, quiet = (_patches(gain * signals.noise(3)) for gain in (1.0, 0.5))
    difference = (loud - quiet).mean(axis=0)
    assert difference[0] == pytest.approx(np.log(2) * np.sqrt(64 * 22), rel=1e-3)
    assert np.abs(difference[1:]).max() < 1e-3


def test_a_fainter_copy_is_nearer_than_another_sound() -> None:
    space = PatchSpace.fit(_patches(signals.chords(_CHORDS, each_s=2)))
    fainter = space.distance(_patches(0.9 * signals.chords(_CHORDS, each_s=2)))
    higher = space.distance(_patches(signals.chords([[m + 24 for m in chord] for chord in _CHORDS], each_s=2)))
    clicking = space.distance(_patches(signals.clicks(120, 16)[0]))
    assert fainter < 0.1 * higher
    assert fainter < 0.01 * clicking
