from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime import diffusion
from samuel_runtime.choices import Sampler
from samuel_runtime.diffusion import Prediction, Schedule
from samuel_runtime.samplers import ancestral, sample, trailing_timesteps

SCHEDULE = Schedule.cosine()
SPREAD = 0.5
"""Standard deviation of the toy data: N(0, SPREAD^2), whose ideal denoiser is linear."""


def _run(sampler: Sampler, denoise: object, start: np.ndarray, steps: int) -> list[np.ndarray]:
    def draw(t: int) -> np.ndarray:
        return np.random.default_rng(t).standard_normal(start.shape)

    timesteps = trailing_timesteps(SCHEDULE, steps)
    return list(sample(sampler, denoise, start, SCHEDULE, timesteps, draw, (-10.0, 10.0)))  # type: ignore[arg-type]


def _ideal(x: np.ndarray, t: int) -> np.ndarray:
    abar = SCHEDULE.alphas_cumprod[t]
    return np.sqrt(abar) * SPREAD**2 / (abar * SPREAD**2 + 1 - abar) * x


def _error(sampler: Sampler, steps: int) -> float:
    """Distance to the solution of the probability flow, which is known for Gaussian data."""
    abar = SCHEDULE.alphas_cumprod[-1]
    return abs(float(_run(sampler, _ideal, np.ones(1), steps)[-1][0]) - SPREAD / np.sqrt(abar * SPREAD**2 + 1 - abar))


@pytest.mark.parametrize("prediction", Prediction)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 25, 800])
@pytest.mark.parametrize("sampler", Sampler)
def test_an_exact_network_leads_to_its_data_at_any_step_count(
    sampler: Sampler, steps: int, prediction: Prediction
) -> None:
    x0 = np.random.default_rng(0).uniform(-2, 2, (2, 4, 8))

    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        alpha, sigma = float(SCHEDULE.alpha[t]), float(SCHEDULE.sigma[t])
        eps = (x - alpha * x0) / sigma
        output = diffusion.velocity(x0, eps, alpha, sigma) if prediction is Prediction.V else eps
        return np.asarray(diffusion.x0_from_output(prediction, x, output, alpha, sigma))

    way = _run(sampler, denoise, np.random.default_rng(1).standard_normal(x0.shape), steps)
    assert len(way) == steps
    assert np.linalg.norm(way[-1] - x0) / np.linalg.norm(x0) < 1e-9


@pytest.mark.parametrize("sampler", Sampler)
def test_single_precision_stays_single_precision(sampler: Sampler) -> None:
    way = _run(sampler, lambda x, t: np.zeros_like(x, np.float32), np.ones((1, 4, 2), np.float32), 3)
    assert {x.dtype for x in way} == {np.dtype(np.float32)}


@pytest.mark.parametrize("sampler", [Sampler.DDIM, Sampler.DPM_SOLVER_2M])
def test_deterministic_samplers_converge(sampler: Sampler) -> None:
    errors = [_error(sampler, steps) for steps in (10, 20, 40, 80)]
    assert all(finer < 0.7 * coarser for coarser, finer in pairwise(errors)), errors


def test_the_second_order_sampler_converges_faster() -> None:
    def order(sampler: Sampler) -> float:
        return float(np.log2(_error(sampler, 20) / _error(sampler, 80)) / 2)

    ddim, dpm = order(Sampler.DDIM), order(Sampler.DPM_SOLVER_2M)
    print(f"order of convergence: ddim {ddim:.2f}, dpm++2m {dpm:.2f}")
    assert ddim == pytest.approx(1, abs=0.25)
    assert dpm > 1.6
    assert _error(Sampler.DPM_SOLVER_2M, 25) < 0.2 * _error(Sampler.DDIM, 25)


def test_all_ancestral_steps_draw_from_the_data() -> None:
    start = np.random.default_rng(5).standard_normal(100_000)
    last = _run(Sampler.ANCESTRAL, _ideal, start, SCHEDULE.timesteps)[-1]
    assert abs(last.mean()) < 4 * SPREAD / np.sqrt(start.size)
    assert last.std() == pytest.approx(SPREAD, rel=0.02)
    assert abs(np.corrcoef(start, last)[0, 1]) < 0.02  # the noise on the way decides, not the start


def test_ancestral_latents_are_clamped_after_every_step() -> None:
    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        return np.full_like(x, 3.0)

    start = np.full(50, 9.0)
    steps = ancestral(denoise, start, SCHEDULE, trailing_timesteps(SCHEDULE, 5), lambda t: start, (-1.0, 1.0))
    assert all(np.abs(x).max() <= 1 for x in steps)


@given(st.integers(1, 800).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length))))
def test_timesteps_fall_from_the_noisiest_without_repeats(sizes: tuple[int, int]) -> None:
    length, steps = sizes
    timesteps = trailing_timesteps(Schedule.cosine(length), steps)
    assert len(timesteps) == steps
    assert timesteps[0] == length - 1 and timesteps[-1] >= 0
    assert all(later < earlier for earlier, later in pairwise(timesteps))


@pytest.mark.parametrize("steps", [0, -1, 801])
def test_impossible_step_counts_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 800"):
        trailing_timesteps(SCHEDULE, steps)
