"""Samplers: short generators that see only ``denoise(x, t)`` and yield the latents after every step.

``denoise`` maps noisy latents x_t and the timestep t to the estimated clean latents x_0; what the network
predicts, guidance, clamping and windows are its business. Between two timesteps a sampler needs abar only.
The last yielded latents are the result, clean (abar = 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from samuel_runtime.choices import Sampler
from samuel_runtime.diffusion import Schedule

Denoise = Callable[[np.ndarray, int], np.ndarray]
"""(x_t, t) -> x_0 estimate, both (batch, channels, frames)."""
Draw = Callable[[int], np.ndarray]
"""Timestep -> standard normal noise of the latents' shape."""

_LOG_VARIANCE_RANGE = (-10.0, 1.0)  # the published sampler's

# 1 is trailing, more is denser in the noise. Beside 1, 2 and those of benchmarks/spacings.py, 1.5 was the nearest to
# the many-step limit at 8 steps, and at most a quarter farther from it than the nearest at 12 to 50.
_DENSITY = 1.5


def trailing_timesteps(schedule: Schedule, steps: int) -> list[int]:
    """Evenly spaced timesteps from T - 1 downwards, so that sampling begins in pure noise.

    Lin et al., "Common diffusion noise schedules and sample steps are flawed" (2024), table 2, "trailing".

    Raises:
        ValueError: if ``steps`` is not between 1 and T.
    """
    if not 1 <= steps <= schedule.timesteps:
        raise ValueError(f"steps must be between 1 and {schedule.timesteps}, not {steps}")
    return [round(schedule.timesteps * (1 - i / steps)) - 1 for i in range(steps)]


def early_timesteps(schedule: Schedule, steps: int) -> list[int]:
    """Timesteps from T - 1 downwards, closer together the more noise there is: T (1 - (i / steps)^1.5) - 1.

    The estimate of the clean latents changes fastest in the noise, where evenly spaced steps make most of their
    error, see `python -m benchmarks.steps`. All T steps are all T timesteps.

    Raises:
        ValueError: if ``steps`` is not between 1 and T.
    """
    timesteps = trailing_timesteps(schedule, steps)
    for i in range(1, steps):
        wanted = round(schedule.timesteps * (1 - (i / steps) ** _DENSITY)) - 1
        timesteps[i] = min(wanted, timesteps[i - 1] - 1)  # no repeats
    return timesteps


def timesteps_for(sampler: Sampler, schedule: Schedule, steps: int) -> list[int]:
    """The spacing that suits the sampler: the deterministic ones were measured, the ancestral one takes all or even.

    Raises:
        ValueError: if ``steps`` is not between 1 and T.
    """
    spaced = trailing_timesteps if sampler is Sampler.ANCESTRAL else early_timesteps
    return spaced(schedule, steps)


def ancestral(
    denoise: Denoise,
    x: np.ndarray,
    schedule: Schedule,
    timesteps: list[int],
    draw: Draw,
    clamp: tuple[float, float] | None = None,
) -> Iterator[np.ndarray]:
    """Draw from the DDPM posterior at every step: Ho et al. (2020), eq. 6-7; the paper's sampler with all T steps.

    ``clamp`` bounds the latents after every step, as the published sampler does.
    """
    for t, abar, abar_next in _steps(schedule, timesteps):
        x0 = denoise(x, t)
        ratio = abar / abar_next
        x = (np.sqrt(abar_next) * (1 - ratio) * x0 + np.sqrt(ratio) * (1 - abar_next) * x) / (1 - abar)
        if abar_next < 1:
            log_variance = np.log((1 - ratio) * (1 - abar_next) / (1 - abar))
            x = x + np.exp(0.5 * np.clip(log_variance, *_LOG_VARIANCE_RANGE)) * draw(t)
        if clamp is not None:
            x = np.clip(x, *clamp)
        x = x.astype(x0.dtype, copy=False)
        yield x


def ddim(denoise: Denoise, x: np.ndarray, schedule: Schedule, timesteps: list[int]) -> Iterator[np.ndarray]:
    """Deterministic steps along the predicted noise: Song et al. (2021), eq. 12 with eta = 0."""
    for t, abar, abar_next in _steps(schedule, timesteps):
        x0 = denoise(x, t)
        eps = (x - np.sqrt(abar) * x0) / np.sqrt(1 - abar)
        x = (np.sqrt(abar_next) * x0 + np.sqrt(1 - abar_next) * eps).astype(x0.dtype, copy=False)
        yield x


def dpm_solver_2m(denoise: Denoise, x: np.ndarray, schedule: Schedule, timesteps: list[int]) -> Iterator[np.ndarray]:
    """DPM-Solver++(2M): Lu et al. (2022), algorithm 2; the first and the last step are of first order."""
    x0_before, h_before = None, 0.0
    for t, abar, abar_next in _steps(schedule, timesteps):
        x0 = denoise(x, t)
        if abar_next == 1:
            yield x0
            return
        h = _log_snr_step(abar, abar_next)
        slope = 0.0 if x0_before is None else (x0 - x0_before) * (h / (2 * h_before))
        x = _along(x, x0 + slope, abar, abar_next).astype(x0.dtype, copy=False)
        x0_before, h_before = x0, h
        yield x


def unipc(denoise: Denoise, x: np.ndarray, schedule: Schedule, timesteps: list[int]) -> Iterator[np.ndarray]:
    """DPM-Solver++(2M) with the corrector of UniPC: Zhao et al. (2023), section 3.

    Once x_0 is known at the end of a step, the step is made again along the line between the estimates at its two
    ends, integrated exactly in log-SNR: an interpolation where 2M extrapolates, at no further evaluation. What is
    yielded is not yet corrected; the last, the result, needs no correction.
    """
    x_before = x0_before = None
    abar_before = h_before = 0.0
    for t, abar, abar_next in _steps(schedule, timesteps):
        x0 = denoise(x, t)
        if abar_next == 1:
            yield x0
            return
        h, extrapolated = _log_snr_step(abar, abar_next), x0
        if x_before is not None:
            # Where on that line the mean of x_0 over the step lies, weighted by alpha / sigma: beyond its middle.
            weight = -1 / np.expm1(-h_before) - 1 / h_before
            x = _along(x_before, x0_before + weight * (x0 - x0_before), abar_before, abar)
            extrapolated = x0 + (x0 - x0_before) * (h / (2 * h_before))
        x_before, x0_before, abar_before, h_before = x, x0, abar, h
        x = _along(x, extrapolated, abar, abar_next).astype(x0.dtype, copy=False)
        yield x


def sample(
    sampler: Sampler,
    denoise: Denoise,
    x: np.ndarray,
    schedule: Schedule,
    timesteps: list[int],
    draw: Draw,
    clamp: tuple[float, float],
) -> Iterator[np.ndarray]:
    """Run the sampler of that name; only the ancestral one uses ``draw`` and ``clamp``."""
    if sampler is Sampler.ANCESTRAL:
        return ancestral(denoise, x, schedule, timesteps, draw, clamp)
    deterministic = {Sampler.DDIM: ddim, Sampler.DPM_SOLVER_2M: dpm_solver_2m, Sampler.UNIPC: unipc}
    return deterministic[sampler](denoise, x, schedule, timesteps)


def _steps(schedule: Schedule, timesteps: list[int]) -> Iterator[tuple[int, float, float]]:
    """Each timestep with abar there and abar where the step ends; the last step ends at 1."""
    ends = [schedule.alphas_cumprod[t] for t in timesteps[1:]] + [1.0]
    for t, abar_next in zip(timesteps, ends, strict=True):
        yield t, float(schedule.alphas_cumprod[t]), float(abar_next)


def _log_snr_step(abar: float, abar_next: float) -> float:
    """h: how far log(alpha / sigma) rises from one noise level to the next."""
    return float(0.5 * (np.log(abar_next / (1 - abar_next)) - np.log(abar / (1 - abar))))


def _along(x: np.ndarray, x0: np.ndarray, abar: float, abar_next: float) -> np.ndarray:
    """One step with x_0 held constant, DPM-Solver++ of first order, which is DDIM: Lu et al. (2022)."""
    h = _log_snr_step(abar, abar_next)
    return np.asarray(np.sqrt((1 - abar_next) / (1 - abar)) * x - np.sqrt(abar_next) * np.expm1(-h) * x0)
