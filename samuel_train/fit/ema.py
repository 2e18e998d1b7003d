"""Exponential moving average of the weights: what is validated, saved and exported."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class Ema(Generic[Network]):
    """A copy of a network whose weights trail behind the trained ones."""

    def __init__(self, model: Network, decay: float) -> None:
        self.model: Network = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: Network, steps: int) -> None:
        """Move towards ``model`` after its optimiser step number ``steps``, counted from 1.

        Young averages forget faster, (1 + steps) / (10 + steps) as in TensorFlow's ExponentialMovingAverage,
        so that the initial weights do not linger.
        """
        decay = min(self._decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
