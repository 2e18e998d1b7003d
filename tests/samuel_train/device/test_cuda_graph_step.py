"""Steps recorded as CUDA graphs do what called steps do; elsewhere they are called."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from samuel_train.device.capturable_optimizer import make_capturable, set_rate, skip_overflow
from samuel_train.device.cuda_graph_step import CudaGraphStep, Measured

gpu = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

RATES = (1e-2, 3e-3, 1e-2, 5e-3, 2e-3, 1e-3, 7e-3, 1e-2)


def _trained(device: torch.device, wrapped: Callable[..., Callable[..., Measured]]) -> tuple[list[float], list[Tensor]]:
    """Losses, and weights in the end, of a few steps of two kinds and two shapes; the last overflows."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv1d(4, 8, 3, padding=1), nn.GELU(), nn.Conv1d(8, 4, 3, padding=1)).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), 1.0, fused=True)
    make_capturable(optimizer, device, recorded=device.type == "cuda")

    def step(doubled: bool, x: Tensor, target: Tensor) -> Measured:
        loss = (network(x) - target).square().mean() * (2 if doubled else 1)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        skip_overflow(optimizer, norm)
        optimizer.step()
        optimizer.zero_grad()
        return {"loss": loss.detach()}

    descend, losses = wrapped(step, device), []
    generator = torch.Generator().manual_seed(1)
    for number, rate in enumerate(RATES * 4):
        frames = 16 if number % 3 else 24
        x, target = (torch.randn(2, 4, frames, generator=generator).to(device) for _ in range(2))
        if number == 4 * len(RATES) - 1:
            x[0, 0, 0] = torch.inf
        set_rate(optimizer, rate)
        losses.append(descend(number % 2 == 0, x, target)["loss"])
    return [loss.item() for loss in losses], [weight.detach().cpu() for weight in network.parameters()]


def _called(step: Callable[..., Measured], _: torch.device) -> Callable[..., Measured]:
    return step


def test_a_processor_calls_the_step() -> None:
    cpu = torch.device("cpu")
    losses, weights = _trained(cpu, CudaGraphStep)
    expected_losses, expected = _trained(cpu, _called)
    assert losses[:-1] == expected_losses[:-1]
    assert all(map(torch.equal, weights, expected))
    assert all(weight.isfinite().all() for weight in weights)  # what overflowed was skipped


@gpu
@needs_gpu
def test_a_gpu_replays_what_it_would_be_told() -> None:
    cuda = torch.device("cuda")
    losses, weights = _trained(cuda, CudaGraphStep)
    expected_losses, expected = _trained(cuda, _called)
    assert losses[:-1] == pytest.approx(expected_losses[:-1], rel=1e-4)
    for weight, one in zip(weights, expected, strict=True):
        assert weight.isfinite().all()
        torch.testing.assert_close(weight, one, rtol=1e-3, atol=1e-4)
