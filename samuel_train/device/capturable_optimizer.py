"""Optimiser steps that never wait for the device: rates, and what to do about overflows, are tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def make_capturable(optimizer: torch.optim.Optimizer, device: torch.device, recorded: bool) -> None:
    """Prepare a fused optimiser, after it was made or loaded, for :func:`set_rate`, and for CUDA graphs if it is
    ``recorded``."""
    for group in optimizer.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), device=device)
        group["capturable"] = recorded


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the steps that follow, recorded ones included."""
    for group in optimizer.param_groups:
        group["lr"].fill_(rate)


def skip_overflow(optimizer: Any, norm: Tensor) -> None:
    """Let the next step do nothing if the gradient's ``norm`` () is not finite.

    It is what the fp16 scaler does too: a fused optimiser looks at ``found_inf``, on the device, unasked.
    """
    optimizer.found_inf = (~norm.isfinite()).float()
