from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.diffusion import schedule as diffusion
from samuel_runtime.diffusion.fused_step import COEFFICIENTS, coefficients, output_alone
from samuel_runtime.diffusion.samplers import (
    CorrectedX,
    NextX,
    Update,
    power_spaced_timesteps,
    sample,
    timesteps_for,
    trailing_timesteps,
    updates_of,
)
from samuel_runtime.diffusion.schedule import Prediction, Schedule, x0_weights
from samuel_runtime.settings import Sampler

SCHEDULE = Schedule.cosine()
SPREAD = 0.5
"""Standard deviation of the toy data: N(0, SPREAD^2), whose ideal denoiser is linear."""
DETERMINISTIC = [sampler for sampler in Sampler if sampler is not Sampler.ANCESTRAL]


def _run(sampler: Sampler, denoise: object, start: np.ndarray, steps: int) -> list[np.ndarray]:
    def draw(t: int) -> np.ndarray:
        return np.random.default_rng(t).standard_normal(start.shape)

    timesteps = timesteps_for(sampler, SCHEDULE, steps)
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

    backend = _run(sampler, denoise, np.random.default_rng(1).standard_normal(x0.shape), steps)
    assert len(backend) == steps
    assert np.linalg.norm(backend[-1] - x0) / np.linalg.norm(x0) < 1e-9


@pytest.mark.parametrize("sampler", Sampler)
def test_single_precision_stays_single_precision(sampler: Sampler) -> None:
    backend = _run(sampler, lambda x, t: np.zeros_like(x, np.float32), np.ones((1, 4, 2), np.float32), 3)
    assert {x.dtype for x in backend} == {np.dtype(np.float32)}


@pytest.mark.parametrize("sampler", DETERMINISTIC)
def test_deterministic_samplers_converge(sampler: Sampler) -> None:
    errors = [_error(sampler, steps) for steps in (5, 20, 80)]
    assert all(finer < 0.3 * coarser for coarser, finer in pairwise(errors)), errors


def _order(sampler: Sampler, spread: float) -> float:
    """Order of convergence on N(0.7, spread^2) between t = 704 and 128, where the flow's exact solution is known.

    The ends of the schedule are left out: there the steps in log-SNR do not shrink with their number.
    """
    mean, first, last, c = 0.7, 704, 128, np.linspace(-2, 2, 9)

    def flow(t: int) -> np.ndarray:
        abar = SCHEDULE.alphas_cumprod[t]
        return np.asarray(np.sqrt(abar) * mean + np.sqrt(abar * spread**2 + 1 - abar) * c)

    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        abar = SCHEDULE.alphas_cumprod[t]
        gain = np.sqrt(abar) * spread**2 / (abar * spread**2 + 1 - abar)
        return np.asarray(mean + gain * (x - np.sqrt(abar) * mean))

    def error(steps: int) -> float:
        timesteps = list(range(first, last - 1, -(first - last) // steps))
        backend = list(sample(sampler, denoise, flow(first), SCHEDULE, timesteps, lambda t: c, (-10.0, 10.0)))
        return float(np.abs(backend[-2] - flow(last)).max())  # the last step is the one from there to clean

    return float(np.log2(error(24) / error(96)) / 2)


@pytest.mark.parametrize("spread", [0.2, 0.3, 0.8, 3.0])
def test_errors_fall_as_the_order_says(spread: float) -> None:
    assert _order(Sampler.DDIM, spread) == pytest.approx(1, abs=0.05)
    assert _order(Sampler.DPM_SOLVER_2M, spread) == pytest.approx(2, abs=0.2)
    assert _order(Sampler.UNIPC, spread) > 1.8  # more where its leading error happens to be small


@pytest.mark.parametrize("sampler", [Sampler.DPM_SOLVER_2M, Sampler.UNIPC])
def test_the_second_order_is_nearer_at_the_default_number_of_steps(sampler: Sampler) -> None:
    assert _error(sampler, 25) < 0.25 * _error(Sampler.DDIM, 25)


def test_the_corrector_is_exact_where_the_estimate_is_a_line_in_log_snr() -> None:
    """The predictor errs in its first step, which knows no slope; the corrector takes all of it back."""
    log_snr, seen = np.log(SCHEDULE.alpha / SCHEDULE.sigma), []

    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        seen.append(float(x[0]))
        return np.array([1 + 0.3 * log_snr[t]])

    def flow(t: int) -> float:
        """From 1 at t = 600: d(x / sigma) = x_0 d(alpha / sigma)."""
        sums = [np.exp(log_snr[k]) * (0.7 + 0.3 * log_snr[k]) for k in (t, 600)]
        return float(SCHEDULE.sigma[t] * (1 / SCHEDULE.sigma[600] + sums[0] - sums[1]))

    # The step from 450 to 449 is too short to err itself: it shows what the state at 450 has become.
    list(sample(Sampler.UNIPC, denoise, np.ones(1), SCHEDULE, [600, 450, 449], lambda t: np.zeros(1), (-9, 9)))
    assert seen[0] == 1
    assert abs(seen[1] - flow(450)) > 0.01
    assert seen[2] == pytest.approx(flow(449), abs=1e-7)


def test_all_ancestral_steps_draw_from_the_data() -> None:
    start = np.random.default_rng(5).standard_normal(40_000)
    last = _run(Sampler.ANCESTRAL, _ideal, start, SCHEDULE.timesteps)[-1]
    assert abs(last.mean()) < 4 * SPREAD / np.sqrt(start.size)
    assert last.std() == pytest.approx(SPREAD, rel=0.02)
    assert abs(np.corrcoef(start, last)[0, 1]) < 0.02  # the noise on the way decides, not the start


def test_ancestral_latents_are_clamped_after_every_step() -> None:
    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        return np.full_like(x, 3.0)

    start = np.full(50, 9.0)
    steps = sample(
        Sampler.ANCESTRAL, denoise, start, SCHEDULE, trailing_timesteps(SCHEDULE, 5), lambda t: start, (-1.0, 1.0)
    )
    assert all(np.abs(x).max() <= 1 for x in steps)


def test_the_corrector_is_unic_1_with_its_coefficient_solved_exactly() -> None:
    """Zhao et al. (2023), section 3, for predictions of x_0: x^c = (step of first order) + alpha a_1 B(h) (m_t - m_s).

    With p = 1 their system R_p(h) a_p B(h) = phi_p(h) is one equation; the integral of the line stands for phi_1.
    """
    _, *corrected, _ = updates_of(Sampler.UNIPC, SCHEDULE, [700, 500, 300, 100])
    for update, t, t_next in zip(corrected, (700, 500), (500, 300), strict=True):
        log_snr = np.log(SCHEDULE.alpha / SCHEDULE.sigma)
        h, alpha = log_snr[t_next] - log_snr[t], SCHEDULE.alpha[t_next]
        first_order = SCHEDULE.sigma[t_next] / SCHEDULE.sigma[t], alpha * -np.expm1(-h)
        share = np.linspace(0, h, 200_001)  # of the way in log-SNR; m = m_s + share / h (m_t - m_s)
        integrand = np.exp(share - h) * share / h
        a_b = (integrand.sum() - (integrand[0] + integrand[-1]) / 2) * share[1]  # alpha stands before it
        assert update.correct.x == 0
        assert update.correct.corrected_x == pytest.approx(first_order[0], rel=1e-9)
        assert update.correct.x0 == pytest.approx(alpha * a_b, rel=1e-6)
        assert update.correct.previous_x0 == pytest.approx(first_order[1] - alpha * a_b, rel=1e-6)


def test_the_first_and_the_last_step_are_of_first_order_and_uncorrected_is_x_itself() -> None:
    for sampler in (Sampler.DPM_SOLVER_2M, Sampler.UNIPC):
        first, middle, last = updates_of(sampler, SCHEDULE, [700, 500, 300])
        assert first.advance.previous_x0 == last.advance.previous_x0 == 0 != middle.advance.previous_x0
        assert first.correct == CorrectedX()
        assert last.advance == NextX(corrected_x=0, x0=1)
    assert {update.correct for update in updates_of(Sampler.DPM_SOLVER_2M, SCHEDULE, [700, 500, 300])} == {CorrectedX()}


def test_the_weights_of_a_step_are_laid_out_as_built_engines_read_them() -> None:
    update = Update(
        NextX(corrected_x=5, x0=6, previous_x0=7, noise=8), CorrectedX(x=1, corrected_x=2, x0=3, previous_x0=4)
    )
    assert update.weights == (1, 2, 3, 4, 5, 6, 7, 8)
    expected = [*x0_weights(Prediction.V, 0.6, 0.8), -2, 2, 1, 2, 3, 4, 5, 6, 7, 8]
    laid_out = coefficients(update, Prediction.V, 0.6, 0.8, (-2.0, 2.0))
    assert laid_out.shape == (COEFFICIENTS,)
    np.testing.assert_array_equal(laid_out[:12], np.array(expected, np.float32))
    np.testing.assert_array_equal(output_alone()[4:12], np.array([1, 0, 0, 0, 0, 1, 0, 0], np.float32))


def test_an_unknown_sampler_runs_no_other_ones_steps() -> None:
    for wrong in ("foo", None, "unipc "):
        with pytest.raises(ValueError, match="no such case"):
            updates_of(wrong, SCHEDULE, [700, 300])  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="no such case"):
            timesteps_for(wrong, SCHEDULE, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no such case"):
        diffusion.x0_from_output("x0", 0.0, 0.0, 1.0, 1.0)  # type: ignore[arg-type]


@given(st.integers(1, 800).flatmap(lambda length: st.tuples(st.just(length), st.integers(1, length))))
def test_timesteps_fall_from_the_noisiest_without_repeats(sizes: tuple[int, int]) -> None:
    length, steps = sizes
    for spaced in (trailing_timesteps, power_spaced_timesteps):
        timesteps = spaced(Schedule.cosine(length), steps)
        assert len(timesteps) == steps
        assert timesteps[0] == length - 1 and timesteps[-1] >= 0
        assert all(later < earlier for earlier, later in pairwise(timesteps))


def test_sampling_begins_in_pure_noise() -> None:
    """The signal that x_T would still hold and the start noise lacks is lost in single precision's rounding."""
    assert timesteps_for(Sampler.UNIPC, SCHEDULE, 8)[0] == SCHEDULE.timesteps - 1
    assert SCHEDULE.alpha[-1] < 1e-4


def test_deterministic_samplers_step_closer_in_the_noise_and_the_ancestral_evenly() -> None:
    even = timesteps_for(Sampler.ANCESTRAL, SCHEDULE, 16)
    assert set(np.diff(even)) == {-50}
    for sampler in DETERMINISTIC:
        assert (np.diff(np.diff(timesteps_for(sampler, SCHEDULE, 16))) <= 0).all()
        assert timesteps_for(sampler, SCHEDULE, 16)[8] > even[8]
        assert timesteps_for(sampler, SCHEDULE, 800) == list(range(799, -1, -1))


@pytest.mark.parametrize("spaced", [trailing_timesteps, power_spaced_timesteps])
@pytest.mark.parametrize("steps", [0, -1, 801])
def test_impossible_step_counts_are_refused(steps: int, spaced: Callable[[Schedule, int], list[int]]) -> None:
    with pytest.raises(ValueError, match="between 1 and 800"):
        spaced(SCHEDULE, steps)
