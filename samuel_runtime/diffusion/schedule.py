"""The diffusion process: cosine schedule, the two prediction targets and their inversions, side by side.

Everything here is arithmetic with plain operators, so the same functions serve numpy arrays in the
runtime and torch tensors in training. Notation follows the paper and Salimans & Ho (2022):

    x_t = alpha_t x_0 + sigma_t eps,    alpha_t = sqrt(abar_t),    sigma_t = sqrt(1 - abar_t)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from samuel_runtime.errors import UserError, unhandled

TIMESTEPS = 800
"""Length of the paper's schedule."""

_COSINE_OFFSET = 0.008  # s of Nichol & Dhariwal (2021), eq. 17
_BETA_MIN, _BETA_MAX = 1e-4, 0.9999
_ALPHA_MIN = 1e-6  # the published sampler divides by alpha_t, which reaches 1e-4 at the noisy end


def check_steps(steps: int, timesteps: int) -> None:
    """See that a schedule has so many steps.

    Raises:
        UserError: it has fewer.
    """
    if steps > timesteps:
        raise UserError(f"steps must be at most {timesteps}, the timesteps of this model's schedule, not {steps}")


class Prediction(str, Enum):
    """What the network's output means; there is no third case."""

    V = "v"
    EPSILON = "epsilon"


@dataclass(frozen=True)
class Schedule:
    """The cosine schedule's tables, float64, indexed by the integer timestep t = 0 .. timesteps - 1."""

    betas: np.ndarray
    """(timesteps,) variance added at each step."""
    alphas_cumprod: np.ndarray
    """(timesteps,) abar_t."""

    @classmethod
    def cosine(cls, timesteps: int = TIMESTEPS) -> Schedule:
        """Nichol & Dhariwal (2021), eq. 17, with betas clipped to [1e-4, 0.9999].

        Raises:
            ValueError: if ``timesteps`` is not positive.
        """
        if timesteps < 1:
            raise ValueError(f"a schedule needs at least one timestep, not {timesteps}")
        k = np.arange(timesteps + 1, dtype=np.float64) / timesteps
        abar = np.cos((k + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * np.pi / 2) ** 2
        abar /= abar[0]
        betas = np.clip(1 - abar[1:] / abar[:-1], _BETA_MIN, _BETA_MAX)
        return cls(betas=betas, alphas_cumprod=np.cumprod(1 - betas))

    @property
    def timesteps(self) -> int:
        """Length T of the schedule."""
        return len(self.betas)

    @property
    def alpha(self) -> np.ndarray:
        """(timesteps,) scale of the signal in x_t."""
        return np.sqrt(self.alphas_cumprod)

    @property
    def sigma(self) -> np.ndarray:
        """(timesteps,) standard deviation of the noise in x_t."""
        return np.sqrt(1 - self.alphas_cumprod)

    @property
    def snr(self) -> np.ndarray:
        """(timesteps,) signal-to-noise ratio alpha^2 / sigma^2."""
        return self.alphas_cumprod / (1 - self.alphas_cumprod)


def diffuse(x0: Any, eps: Any, alpha: Any, sigma: Any) -> Any:
    """x_t from clean latents and noise; the coefficients broadcast against the latents."""
    return alpha * x0 + sigma * eps


def velocity(x0: Any, eps: Any, alpha: Any, sigma: Any) -> Any:
    """The v target: Salimans & Ho (2022), appendix D."""
    return alpha * eps - sigma * x0


def x0_from_velocity(x: Any, v: Any, alpha: Any, sigma: Any) -> Any:
    """Invert :func:`velocity` for the clean latents."""
    return alpha * x - sigma * v


def x0_from_epsilon(x: Any, eps: Any, alpha: float, sigma: float) -> Any:
    """Invert :func:`diffuse` for the clean latents; alpha is kept off zero as in the published sampler."""
    return (x - sigma * eps) / max(alpha, _ALPHA_MIN)


def target_of(prediction: Prediction, x0: Any, eps: Any, alpha: Any, sigma: Any) -> Any:
    """What the network is trained to output."""
    if prediction is Prediction.V:
        return velocity(x0, eps, alpha, sigma)
    if prediction is Prediction.EPSILON:
        return eps
    raise unhandled(prediction)


def x0_from_output(prediction: Prediction, x: Any, output: Any, alpha: float, sigma: float) -> Any:
    """Clean latents from the network's output, whichever of the two targets it was trained on."""
    if prediction is Prediction.V:
        return x0_from_velocity(x, output, alpha, sigma)
    if prediction is Prediction.EPSILON:
        return x0_from_epsilon(x, output, alpha, sigma)
    raise unhandled(prediction)


def x0_weights(prediction: Prediction, alpha: float, sigma: float) -> tuple[float, float]:
    """The same as weights of x and of the output, since all of it is linear."""
    return x0_from_output(prediction, 1.0, 0.0, alpha, sigma), x0_from_output(prediction, 0.0, 1.0, alpha, sigma)


def x0_denoiser(
    network: Callable[[np.ndarray, int], np.ndarray],
    prediction: Prediction,
    schedule: Schedule,
    clamp: tuple[float, float] | None = None,
) -> Callable[[np.ndarray, int], np.ndarray]:
    """The ``denoise(x, t)`` that samplers take.

    Args:
        network: noisy latents and a timestep -> the network's output, guided.
        prediction: the target that the network was trained on.
        schedule: the diffusion's.
        clamp: range of the training data, which the estimate is clipped to; None leaves it free.

    Returns:
        Noisy latents and a timestep -> a new array, the estimate of x_0.
    """
    alpha, sigma = schedule.alpha, schedule.sigma

    def denoise(x: np.ndarray, t: int) -> np.ndarray:
        x0 = x0_from_output(prediction, x, network(x, t), float(alpha[t]), float(sigma[t]))
        return np.asarray(x0 if clamp is None else np.clip(x0, *clamp))

    return denoise
