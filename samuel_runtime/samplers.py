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


def trailing_timesteps(schedule: Schedule, steps: int) -> list[int]:
    """Evenly spaced timesteps from T - 1 downwards, so that sampling begins in pure noise.

    Lin et al., "Common diffusion noise schedules and sample steps are flawed" (2024), table 2, "trailing".

    Raises:
        ValueError: if ``steps`` is not between 1 and T.
    """
    if not 1 <= steps <= schedule.timesteps:
        raise ValueError(f"steps must be between 1 and {schedule.timesteps}, not {steps}")
    return [round(schedule.timesteps * (1 - i / steps)) - 1 for i in range(steps)]


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
        h = 0.5 * (np.log(abar_next / (1 - abar_next)) - np.log(abar / (1 - abar)))  # step in log(alpha / sigma)
        slope = 0.0 if x0_before is None else (x0 - x0_before) * (h / (2 * h_before))
        x = np.sqrt((1 - abar_next) / (1 - abar)) * x - np.sqrt(abar_next) * np.expm1(-h) * (x0 + slope)
        x = x.astype(x0.dtype, copy=False)
        x0_before, h_before = x0, h
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
    deterministic = {Sampler.DDIM: ddim, Sampler.DPM_SOLVER_2M: dpm_solver_2m}[sampler]
    return deterministic(denoise, x, schedule, timesteps)


def _steps(schedule: Schedule, timesteps: list[int]) -> Iterator[tuple[int, float, float]]:
    """Each timestep with abar there and abar where the step ends; the last step ends at 1."""
    ends = [schedule.alphas_cumprod[t] for t in timesteps[1:]] + [1.0]
    for t, abar_next in zip(timesteps, ends, strict=True):
        yield t, float(schedule.alphas_cumprod[t]), float(abar_next)
