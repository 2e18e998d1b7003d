"""Samplers: from noise to clean latents, given ``denoise(x, t)``, the estimate of x_0.

What the network predicts, guidance, clamping and windows are hidden in ``denoise``. Between two timesteps a sampler
needs abar alone, and once x_0 is known its step is linear. So a sampler is a list of coefficients, one :class:`Update`
a step: :func:`sample` applies them on the host, a fused step graph on the device (fused_step.py), with equal results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass

import numpy as np

from samuel_runtime.diffusion.schedule import Schedule
from samuel_runtime.errors import unhandled
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
class CorrectedX:
    """Weights of the terms of the corrected x: what the step starts from."""

    x: float = 1.0
    corrected_x: float = 0.0
    """Of the step before."""
    x0: float = 0.0
    previous_x0: float = 0.0
    """Of the step before."""


@dataclass(frozen=True)
class NextX:
    """Weights of the terms of the next x."""

    corrected_x: float
    x0: float
    previous_x0: float = 0.0
    """Of the step before."""
    noise: float = 0.0


@dataclass(frozen=True)
class Update:
    """Coefficients of one step: from x_t and x_0 to the latents at the next timestep.

    corrected x = correct . (x, corrected x of the step before, x_0, x_0 of the step before)
    next x = advance . (corrected x, x_0, x_0 of the step before, noise)

    Samplers without a corrector leave the corrected x at x.
    """

    advance: NextX
    correct: CorrectedX = CorrectedX()
    clamped: bool = False
    """Whether the next x is clamped to the range of the training data, as in the published sampler."""

    @property
    def weights(self) -> tuple[float, ...]:
        """All eight weights, those of the corrected x first: the layout that fused step graphs are built for."""
        return (*astuple(self.correct), *astuple(self.advance))


def updates_of(sampler: Sampler, schedule: Schedule, timesteps: list[int]) -> list[Update]:
    """The coefficients of every step; after the last one the latents are clean (abar = 1).

    Raises:
        ValueError: ``sampler`` is none.
    """
    ends = [schedule.alphas_cumprod[t] for t in timesteps[1:]] + [1.0]
    spans = [(float(schedule.alphas_cumprod[t]), float(end)) for t, end in zip(timesteps, ends, strict=True)]
    if sampler is Sampler.ANCESTRAL:
        return [_ancestral(abar, abar_next) for abar, abar_next in spans]
    if sampler is Sampler.DDIM:
        return [Update(NextX(*_along(abar, abar_next))) for abar, abar_next in spans]
    if sampler is Sampler.DPM_SOLVER_2M:
        return list(_second_order(spans, corrected=False))
    if sampler is Sampler.UNIPC:
        return list(_second_order(spans, corrected=True))
    raise unhandled(sampler)


def sample(
    sampler: Sampler,
    denoise: Denoise,
    x: np.ndarray,
    schedule: Schedule,
    timesteps: list[int],
    draw: Draw | None = None,
    clamp: tuple[float, float] | None = None,
) -> Iterator[np.ndarray]:
    """Run a sampler and yield the latents after every step.

    Args:
        sampler: the algorithm.
        denoise: estimates x_0.
        x: start noise, (batch, channels, frames).
        schedule: of the diffusion.
        timesteps: falling, see :func:`timesteps_for`.
        draw: makes the noise of a timestep; only the ancestral sampler needs it.
        clamp: range of the training data, to which the ancestral sampler clamps; None clamps nothing.

    Raises:
        ValueError: ``sampler`` is none, or it draws noise and ``draw`` is None.
    """
    corrected_x = before = x
    for t, update in zip(timesteps, updates_of(sampler, schedule, timesteps), strict=True):
        x0 = denoise(x, t)
        corrected_x = _combined(astuple(update.correct), (x, corrected_x, x0, before))
        noise = x0  # not looked at
        if update.advance.noise:
            if draw is None:
                raise ValueError(f"the {sampler.value} sampler draws noise in every step")
            noise = draw(t)
        x = _combined(astuple(update.advance), (corrected_x, x0, before, noise))
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
    """A sampler's spacing: even for the ancestral one, for the deterministic ones what was measured as the best.

    Raises:
        ValueError: if ``steps`` is not between 1 and T, or ``sampler`` is none.
    """
    if sampler is Sampler.ANCESTRAL:
        return trailing_timesteps(schedule, steps)
    if sampler in (Sampler.DDIM, Sampler.DPM_SOLVER_2M, Sampler.UNIPC):
        return power_spaced_timesteps(schedule, steps)
    raise unhandled(sampler)


def _ancestral(abar: float, abar_next: float) -> Update:
    """Draw from the DDPM posterior: Ho et al. (2020), eq. 6-7; the paper's sampler with all T steps."""
    ratio, noise = abar / abar_next, 0.0
    if abar_next < 1:
        log_variance = np.log((1 - ratio) * (1 - abar_next) / (1 - abar))
        noise = float(np.exp(0.5 * np.clip(log_variance, *_LOG_VARIANCE_RANGE)))
    mean = np.sqrt(ratio) * (1 - abar_next) / (1 - abar), np.sqrt(abar_next) * (1 - ratio) / (1 - abar)
    return Update(NextX(float(mean[0]), float(mean[1]), noise=noise), clamped=True)


def _second_order(spans: list[tuple[float, float]], *, corrected: bool) -> Iterator[Update]:
    """DPM-Solver++(2M), Lu et al. (2022), algorithm 2; with ``corrected`` also UniC-1, Zhao et al. (2023), section 3.

    The first and the last step are of first order. The corrector: once x_0 is known at the end of a step, the step is
    made again with x_0 as a line in log-SNR between its two ends, where 2M extrapolates from the step before; it costs
    no further evaluation. The latents that are yielded are not yet corrected; the last ones need no correction.

    UniC-1 adds alpha a_1 B(h) (x_0 at the end - x_0 at the start) to the step of first order. That line's exact
    integral is a_1 B(h) = 1 - (1 - e^-h) / h, to which the paper's a_1 = 1/2 is an approximation; here the equation is
    solved, so B(h) cancels. The paper's UniPC-2 has this predictor too (with B_2), but corrects with UniC-2: along a
    parabola through x_0 of the step before.
    """
    correct, abar_before, h_before = CorrectedX(), 0.0, 0.0
    for abar, abar_next in spans:
        share, share_x0 = _along(abar, abar_next)
        if abar_next == 1:
            yield Update(NextX(share, share_x0), correct)
            return
        h, slope = _log_snr_step(abar, abar_next), 0.0
        if h_before:
            slope = h / (2 * h_before)
            if corrected:
                # Where on that line the mean of x_0 over the step lies, weighted by alpha / sigma: beyond its middle.
                weight = float(-1 / np.expm1(-h_before) - 1 / h_before)
                kept, kept_x0 = _along(abar_before, abar)
                correct = CorrectedX(0.0, kept, kept_x0 * weight, kept_x0 * (1 - weight))
        yield Update(NextX(share, share_x0 * (1 + slope), -share_x0 * slope), correct)
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
