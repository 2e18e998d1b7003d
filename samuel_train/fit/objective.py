"""The training objective: the noised input, the target of the prediction, and the weight of its error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from samuel_runtime.diffusion.schedule import Prediction, Schedule, diffuse, target_of

_WEIGHT_SCALE, _WEIGHT_OFFSET = 2.0, 1e-5
PUBLISHED_WEIGHTS = (0.0, 10.0)
"""Smallest and largest weight of an error, as in SAMUeL-GEN."""

Denoise = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""(x_t, vocals, t, sheet) -> prediction, as the network."""


class Objective(nn.Module):
    """MSE of the prediction, weighted by signal-to-noise ratio if the network predicts v.

    For v the weight is 2 / (snr + 1e-5) within limits, of which SAMUeL-GEN has an upper one, 10; for the noise it is 1
    (Ho et al. 2020). Without a lower limit the last steps, from little noise to none, weigh next to nothing and are
    trained last: a network that was trained for a short time leaves noise of a quarter of the latents' deviation.
    """

    alpha: Tensor
    sigma: Tensor
    weight: Tensor

    def __init__(
        self, schedule: Schedule, prediction: Prediction, weights: tuple[float, float] = PUBLISHED_WEIGHTS
    ) -> None:
        super().__init__()
        weight = np.clip(_WEIGHT_SCALE / (schedule.snr + _WEIGHT_OFFSET), *weights)
        if prediction is Prediction.EPSILON:
            weight = np.ones_like(weight)
        for name, table in (("alpha", schedule.alpha), ("sigma", schedule.sigma), ("weight", weight)):
            self.register_buffer(name, torch.from_numpy(table).float())
        self._prediction = prediction

    def errors(
        self, denoise: Denoise, x0: Tensor, vocals: Tensor, t: Tensor, eps: Tensor, sheet: Tensor | None = None
    ) -> Tensor:
        """(batch,) unweighted MSE of the prediction at timesteps ``t`` (batch,) int64, noised by ``eps``.

        ``x0``, ``vocals`` and ``eps`` are (batch, channels, frames), normalised; ``sheet`` (batch, 34, frames).
        """
        alpha = self.alpha[t][:, None, None]  # (batch, 1, 1)
        sigma = self.sigma[t][:, None, None]  # (batch, 1, 1)
        target = target_of(self._prediction, x0, eps, alpha, sigma)
        output = denoise(diffuse(x0, eps, alpha, sigma), vocals, t, sheet)
        return (output.float() - target).square().mean(dim=(1, 2))

    def forward(
        self, denoise: Denoise, x0: Tensor, vocals: Tensor, t: Tensor, eps: Tensor, sheet: Tensor | None = None
    ) -> Tensor:
        """Mean over the batch of the weighted :meth:`errors`."""
        return (self.weight[t] * self.errors(denoise, x0, vocals, t, eps, sheet)).mean()
