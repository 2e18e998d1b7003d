"""The running average of the weights."""

from __future__ import annotations

import torch
from torch import nn

from samuel_train.fit.ema import Ema


def _constant(value: float) -> nn.Linear:
    layer = nn.Linear(3, 2)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, value)
    return layer


def test_average_follows_the_recursion() -> None:
    model = _constant(0.0)
    ema, expected = Ema(model, decay=0.9), 0.0
    for step in range(1, 200):
        nn.init.constant_(model.weight, float(step))
        ema.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
        torch.testing.assert_close(ema.model.weight, torch.full((2, 3), expected))


def test_late_average_forgets_at_the_asked_decay() -> None:
    ema = Ema(_constant(1.0), decay=0.995)
    ema.update(_constant(0.0), steps=100_000)
    torch.testing.assert_close(ema.model.weight, torch.full((2, 3), 0.995))


def test_training_does_not_touch_the_average() -> None:
    model = _constant(1.0)
    ema = Ema(model, decay=0.5)
    nn.init.zeros_(model.weight)
    assert float(ema.model.weight.min()) == 1.0
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())
