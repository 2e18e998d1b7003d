from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.diffusion import schedule as diffusion
from samuel_runtime.diffusion.schedule import Prediction, Schedule

SCHEDULE = Schedule.cosine()


def test_the_schedule_is_the_cosine_of_the_paper() -> None:
    assert SCHEDULE.timesteps == 800
    assert np.all(np.diff(SCHEDULE.alphas_cumprod) < 0)
    middle = np.cos((400 / 800 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert SCHEDULE.alphas_cumprod[399] == pytest.approx(middle, rel=1e-3)  # the smallest betas are raised to 1e-4
    assert SCHEDULE.betas.min() >= 1e-4 and SCHEDULE.betas.max() <= 0.9999


def test_scales_and_ratios_follow_from_abar() -> None:
    np.testing.assert_allclose(SCHEDULE.alpha**2 + SCHEDULE.sigma**2, 1)
    np.testing.assert_allclose(SCHEDULE.snr, SCHEDULE.alpha**2 / SCHEDULE.sigma**2)


def test_a_schedule_without_timesteps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Schedule.cosine(0)


@given(st.integers(0, 799), st.floats(-10, 10), st.floats(-10, 10))
def test_both_inversions_undo_both_targets(t: int, x0: float, eps: float) -> None:
    alpha, sigma = float(SCHEDULE.alpha[t]), float(SCHEDULE.sigma[t])
    x = diffusion.diffuse(x0, eps, alpha, sigma)
    for prediction in Prediction:
        target = diffusion.target_of(prediction, x0, eps, alpha, sigma)
        assert diffusion.x0_from_output(prediction, x, target, alpha, sigma) == pytest.approx(x0, abs=1e-9)
