"""Optimisers whose rates are tensors: what a recorded step reads, and what outlasts a resumption."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from samuel_train.device.capturable_optimizer import make_capturable, set_rate, skip_overflow

CPU = torch.device("cpu")


def _optimizer(weight: nn.Parameter) -> torch.optim.AdamW:
    return torch.optim.AdamW([weight], 1.0, fused=True, weight_decay=0)


def test_a_rate_holds_and_survives_a_resumption() -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = _optimizer(weight)
    make_capturable(optimizer, CPU, recorded=False)
    set_rate(optimizer, 0.25)
    other = _optimizer(weight)
    other.load_state_dict(optimizer.state_dict())
    make_capturable(other, CPU, recorded=False)
    assert other.param_groups[0]["lr"].item() == 0.25
    weight.grad = torch.ones(3)
    other.step()
    assert weight.tolist() == pytest.approx([0.75] * 3)  # Adam's first step is the rate


@pytest.mark.parametrize(("norm", "expected"), [(1.0, 0.0), (torch.nan, 1.0), (torch.inf, 1.0)])
def test_overflows_are_skipped_and_nothing_else(norm: float, expected: float) -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = _optimizer(weight)
    make_capturable(optimizer, CPU, recorded=False)
    weight.grad = torch.full((3,), norm)
    skip_overflow(optimizer, weight.grad.norm())
    optimizer.step()
    assert weight.tolist() == pytest.approx([expected] * 3, abs=1e-6)
