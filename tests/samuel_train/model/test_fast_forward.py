"""What training computes is what the network is: outputs and gradients, in float64, for both variants."""

from __future__ import annotations

import copy

import pytest
import torch

from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.fast_forward import with_fast_forward

SMALL = {"base_channels": 8, "time_width": 16, "heads": 2, "vocal_context_width": 4, "sheet_width": 6}


def model_of(alignment: Alignment) -> Denoiser:
    """Every parameter drawn at random: a fresh network's output and FiLMs are zero or the identity."""
    torch.manual_seed(0)
    model = Denoiser(ModelConfig(alignment=alignment, **SMALL)).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("alignment", list(Alignment))
@pytest.mark.parametrize("frames", [8, 64, 152])
def test_outputs_and_gradients_equal_those_of_the_plain_network(alignment: Alignment, frames: int) -> None:
    plain = model_of(alignment)
    fast = with_fast_forward(copy.deepcopy(plain))
    generator = torch.Generator().manual_seed(frames)
    x, vocals, weight = (torch.randn(2, 64, frames, dtype=torch.double, generator=generator) for _ in range(3))
    sheet = torch.randn(2, 34, frames, dtype=torch.double, generator=generator)
    t = torch.tensor([3, 700])
    outputs = [model(x, vocals, t, sheet) for model in (plain, fast)]
    assert ((outputs[1] - outputs[0]).norm() / outputs[0].norm()).item() < 1e-12
    for output in outputs:
        (output * weight).sum().backward()
    gradients = [torch.cat([p.grad.flatten() for p in m.parameters() if p.grad is not None]) for m in (plain, fast)]
    assert ((gradients[1] - gradients[0]).norm() / gradients[0].norm()).item() < 1e-12


def test_weights_keep_their_names_and_are_shared() -> None:
    plain = model_of(Alignment.DOCUMENTED)
    names = list(plain.state_dict())
    weight = plain.unet.cond_ups[0].weight
    fast = with_fast_forward(plain)
    assert list(fast.state_dict()) == names
    assert fast.unet.cond_ups[0].weight is weight
