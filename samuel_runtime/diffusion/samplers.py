"""Samplers: how noisy latents become clean ones, given ``denoise(x, t)``.

``denoise`` maps noisy latents x_t and the timestep t to the estimated clean latents x_0; what the network
predicts, guidance, clamping and windows are its business. Between two timesteps a sampler needs abar only, and once
x_0 is known all it does is linear. So a sampler is a list of coefficients, one :class:`Update` a step: the loop below
applies them on the processor, a device applies them where its latents are, and both sample the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from samuel_runtime.diffusion.schedule import Schedule
from samuel_runtime.settings import Sampler

Denoise = Callable[[np.ndarray, int], np.ndarray]
"""(x_t, t) -> x_0 estimate, both (batch, channels, frames)."""
Draw = Callable[[int], np.ndarray]
"""Timestep -> standard normal noise of the latents' shape."""

_LOG_VARIANCE_RANGE = (-10.0, 1.0)  # the published sampler's

# 1 is trailing, more is denser in the noise. Beside 1, 2 and those of benchmarks/spacings.py, 1.5 was the nearest to
# the many-step limit at 8 steps, and at most a quarter farther from it than the nearest at 12 to 50.
_DENSITY = 1.5


@dataclass(frozen=True)
class Update:
    """One step: from x_t and x_0 to the latents at the next timestep.

    anchor = correct . (x, anchor of the step before, x_0, x_0 of the step before)
    next x = advance . (anchor, x_0, x_0 of the step before, noise)

    The anchor is where the step sets out from: x itself, unless the sampler has corrected it.
    """

    advance: tuple[float, float, float, float]
    """Weights of the next x."""
    correct: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    """Weights of the anchor."""
    clamped: bool = False
    """Whether the next x is kept to the range of the training data, as the published sampler does."""


def updates_of(sampler: Sampler, schedule: Schedule, timesteps: list[int]) -> list[Update]:
    """The coefficients of every step; after the last one the latents are clean (abar = 1)."""
    ends = [schedule.alphas_cumprod[t] for t in timesteps[1:]] + [1.0]
    spans = [(float(schedule.alphas_cumprod[t]), float(end)) for t, end in zip(timesteps, ends, strict=True)]
    if sampler is Sampler.ANCESTRAL:
        return [_ancestral(abar, abar_next) for abar, abar_next in spans]
    if sampler is Sampler.DDIM:
        return [Update((*_along(abar, abar_next), 0.0, 0.0)) for abar, abar_next in spans]
    return list(_second_order(spans, corrected=sampler is Sampler.UNIPC))


def sample(
    sampler: Sampler,
    denoise: Denoise,
    x: np.ndarray,
    schedule: Schedule,
    timesteps: list[int],
    draw: Draw | None = None,
    clamp: tuple[float, float] | None = None,
) -> Iterator[np.ndarray]:
    """Run the sampler of that name and yield the latents after every step.

    Args:
        sampler: which.
        denoise: estimates x_0.
        x: start noise, (batch, channels, frames).
        schedule: of the diffusion.
        timesteps: falling, see :func:`timesteps_for`.
        draw: makes the noise of a timestep; only the ancestral sampler needs it.
        clamp: range of the training data, which the ancestral sampler keeps to; None leaves it free.

    Raises:
        ValueError: the sampler draws noise and has nothing to draw from.
    """
    corrected_x = before = x
    for t, update in zip(timesteps, updates_of(sampler, schedule, timesteps), strict=True):
        x0 = denoise(x, t)
        corrected_x = _combined(update.correct, (x, corrected_x, x0, before))
        noise = x0  # not looked at
        if update.advance[3]:
            if draw is None:
                raise ValueError(f"the {sampler.value} sampler draws noise in every step")
            noise = draw(t)
        x = _combined(update.advance, (corrected_x, x0, before, noise))
        if update.clamped and clamp is not None:
            x = np.clip(x, *clamp)
        corrected_x, x, before = corrected_x.astype(x0.dtype, copy=False), x.astype(x0.dtype, copy=False), x0
        yield x


def trailing_timesteps(schedule: Schedule, steps: int) -> list[int]:
    """Evenly spaced timesteps from T - 1 downwards, so that sampling begins in pure noise.

    Lin et al., "Common diffusion noise schedules and sample steps are flawed" (2024), table 2, "trailing".

    Raises:
        ValueError: if ``steps`` is not between 1 and T.
    """
    if not 1 <= steps <= schedule.timesteps:
        raise ValueError(f"steps must be between 1 and {schedule.timesteps}, not {steps}")
    return [round(schedule.timesteps * (1 - i / steps)) - 1 for i in range(steps)]


def power_spaced_timesteps(schedule: Schedule, steps: int) -> list[int]:
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
    spaced = trailing_timesteps if sampler is Sampler.ANCESTRAL else power_spaced_timesteps
    return spaced(schedule, steps)


def _ancestral(abar: float, abar_next: float) -> Update:
    """Draw from the DDPM posterior: Ho et al. (2020), eq. 6-7; the paper's sampler with all T steps."""
    ratio, noise = abar / abar_next, 0.0
    if abar_next < 1:
        log_variance = np.log((1 - ratio) * (1 - abar_next) / (1 - abar))
        noise = float(np.exp(0.5 * np.clip(log_variance, *_LOG_VARIANCE_RANGE)))
    mean = np.sqrt(ratio) * (1 - abar_next) / (1 - abar), np.sqrt(abar_next) * (1 - ratio) / (1 - abar)
    return Update((float(mean[0]), float(mean[1]), 0.0, noise), clamped=True)


def _second_order(spans: list[tuple[float, float]], *, corrected: bool) -> Iterator[Update]:
    """DPM-Solver++(2M), Lu et al. (2022), algorithm 2, and the corrector of UniPC, Zhao et al. (2023), section 3.

    The first and the last step are of first order. With the corrector, once x_0 is known at the end of a step, the
    step is made again along the line between the estimates at its two ends, integrated exactly in log-SNR: an
    interpolation where 2M extrapolates, at no further evaluation. What is yielded is not yet corrected; the last, the
    result, needs no correction.
    """
    correct, abar_before, h_before = Update.correct, 0.0, 0.0
    for abar, abar_next in spans:
        share, share_x0 = _along(abar, abar_next)
        if abar_next == 1:
            yield Update((share, share_x0, 0.0, 0.0), correct)
            return
        h, slope = _log_snr_step(abar, abar_next), 0.0
        if h_before:
            slope = h / (2 * h_before)
            if corrected:
                # Where on that line the mean of x_0 over the step lies, weighted by alpha / sigma: beyond its middle.
                weight = float(-1 / np.expm1(-h_before) - 1 / h_before)
                kept, kept_x0 = _along(abar_before, abar)
                correct = (0.0, kept, kept_x0 * weight, kept_x0 * (1 - weight))
        yield Update((share, share_x0 * (1 + slope), -share_x0 * slope, 0.0), correct)
        abar_before, h_before = abar, h


def _along(abar: float, abar_next: float) -> tuple[float, float]:
    """Weights of x and x_0 in one step with x_0 held constant: DPM-Solver++ of first order, Lu et al. (2022).

    That is DDIM: Song et al. (2021), eq. 12 with eta = 0.
    """
    if abar_next == 1:
        return 0.0, 1.0
    h = _log_snr_step(abar, abar_next)
    return float(np.sqrt((1 - abar_next) / (1 - abar))), float(-np.sqrt(abar_next) * np.expm1(-h))


def _log_snr_step(abar: float, abar_next: float) -> float:
    """h: how far log(alpha / sigma) rises from one noise level to the next."""
    return float(0.5 * (np.log(abar_next / (1 - abar_next)) - np.log(abar / (1 - abar))))


def _combined(weights: tuple[float, ...], arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    """Their weighted sum in float64; an array of weight 0 is not looked at."""
    parts = [np.float64(weight) * array for weight, array in zip(weights, arrays, strict=True) if weight]
    return np.asarray(sum(parts[1:], parts[0]))
