"""Ways to choose N of T timesteps: the runtime's, and those it was measured against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from samuel_runtime.diffusion.samplers import power_spaced_timesteps, trailing_timesteps
from samuel_runtime.diffusion.schedule import Schedule

Spacing = Callable[[Schedule, int], list[int]]
"""(schedule, steps) -> timesteps from T - 1 downwards, at most so many: rounding leaves repeats out."""

_KARRAS_RHO = 7  # Karras et al. (2022), eq. 5


def linspace(schedule: Schedule, steps: int) -> list[int]:
    """Evenly from T - 1 to 0: Lin et al. (2024), table 2."""
    return _falling(np.linspace(schedule.timesteps - 1, 0, steps))


def log_snr(schedule: Schedule, steps: int) -> list[int]:
    """Evenly in log(alpha / sigma), as DPM-Solver suggests: Lu et al. (2022)."""
    noisiest, cleanest = _ends(schedule)
    return _from_log_snr(schedule, np.linspace(noisiest, cleanest, steps))


def karras(schedule: Schedule, steps: int) -> list[int]:
    """Evenly in (sigma / alpha)^(1 / 7): Karras et al. (2022), eq. 5."""
    noisiest, cleanest = _ends(schedule)
    root = np.linspace(np.exp(-noisiest / _KARRAS_RHO), np.exp(-cleanest / _KARRAS_RHO), steps)
    return _from_log_snr(schedule, -_KARRAS_RHO * np.log(root))


def cosine(schedule: Schedule, steps: int) -> list[int]:
    """Chebyshev's points: dense at both ends."""
    return _falling(schedule.timesteps * (0.5 + 0.5 * np.cos(np.pi * np.arange(steps) / steps)) - 1)


def quadratic(schedule: Schedule, steps: int) -> list[int]:
    """Dense at the clean end, as DDIM's authors had it: Song et al. (2021), appendix D.2."""
    return _falling(schedule.timesteps * (1 - np.arange(steps) / steps) ** 2 - 1)


SPACINGS: dict[str, Spacing] = {
    "early": power_spaced_timesteps,
    "trailing": trailing_timesteps,
    "linspace": linspace,
    "log-SNR": log_snr,
    "Karras": karras,
    "cosine": cosine,
    "quadratic": quadratic,
}
"""By name; the first is the runtime's."""


def _ends(schedule: Schedule) -> tuple[float, float]:
    """log(alpha / sigma) at both ends; T - 1 itself, 1e-4 below its neighbour in abar, would take half of the steps."""
    abar = schedule.alphas_cumprod[[-2, 0]]
    noisiest, cleanest = 0.5 * np.log(abar / (1 - abar))
    return float(noisiest), float(cleanest)


def _from_log_snr(schedule: Schedule, values: np.ndarray) -> list[int]:
    table = np.log(schedule.alpha / schedule.sigma)  # falls with t
    return _falling(np.interp(values, table[::-1], np.arange(schedule.timesteps)[::-1]), schedule.timesteps - 1)


def _falling(wanted: np.ndarray, first: int | None = None) -> list[int]:
    """Rounded, each below the one before; ``first`` in place of the first."""
    timesteps = [round(float(wanted[0])) if first is None else first]
    for value in wanted[1:]:
        timesteps.append(min(round(float(value)), timesteps[-1] - 1))
    return [t for t in timesteps if t >= 0]
