"""The U-Net's parts: what modulates, what halves, what is shared."""

from __future__ import annotations

import pytest
import torch

from samuel_train.model.config import ModelConfig
from samuel_train.model.unet import Downsample, FiLM, ResidualBlock, UNet

SMALL = ModelConfig(latent_channels=8, base_channels=16, time_width=32, heads=2)


@torch.no_grad()
def test_film_has_no_hidden_one() -> None:
    film = FiLM(4, 8)
    for parameter in film.parameters():
        parameter.zero_()
    film.time_proj.bias.copy_(torch.tensor([2.0, 2, 2, 2, 5, 5, 5, 5]))
    h = torch.randn(3, 4, 10)
    assert torch.equal(film(h, torch.randn(3, 4, 6), torch.randn(3, 8)), 2 * h + 5)


@torch.no_grad()
def test_film_sees_the_mean_of_the_context_and_nothing_else_of_it() -> None:
    torch.manual_seed(0)
    film = FiLM(4, 8).double()
    h, context = torch.randn(2, 4, 10).double(), torch.randn(2, 4, 12).double()
    u = torch.randn(2, 8).double()
    shuffled, constant = context[..., torch.randperm(12)], context.mean(-1, keepdim=True).expand(2, 4, 5)
    torch.testing.assert_close(film(h, shuffled, u), film(h, context, u), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(film(h, constant, u), film(h, context, u), rtol=1e-12, atol=1e-12)


@torch.no_grad()
def test_residual_block_uses_its_one_norm_twice() -> None:
    block = ResidualBlock(4, 8)
    calls: list[torch.Tensor] = []
    block.norm.register_forward_hook(lambda module, inputs, output: calls.append(output))
    h = torch.randn(1, 4, 16)
    block(h, h, torch.randn(1, 8))
    assert len(calls) == 2
    assert [name for name, _ in block.named_children()] == ["norm", "conv1", "film", "conv2"]


@torch.no_grad()
def test_residual_block_is_the_identity_when_its_last_convolution_is_zero() -> None:
    block = ResidualBlock(4, 8)
    for parameter in block.conv2.parameters():
        parameter.zero_()
    h = torch.randn(2, 4, 16)
    assert torch.equal(block(h, torch.randn(2, 4, 16), torch.randn(2, 8)), h)


@pytest.mark.parametrize("frames", [2, 16, 128])
def test_downsample_halves_the_frames_and_doubles_the_channels(frames: int) -> None:
    assert Downsample(6)(torch.randn(2, 6, frames)).shape == (2, 12, frames // 2)


@torch.no_grad()
def test_signal_and_context_go_down_through_the_same_module() -> None:
    unet = UNet(SMALL)
    seen: list[torch.Tensor] = []
    for down in unet.cond_downs:
        down.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    h, context = torch.randn(1, 16, 32), torch.randn(1, 16, 32)
    unet(h, context, torch.randn(1, 32), torch.tensor([[0.5, 0.5]]))
    assert [tuple(x.shape[1:]) for x in seen] == [(16, 32)] * 2 + [(32, 16)] * 2 + [(64, 8)] * 2
    assert torch.equal(seen[1], context)
