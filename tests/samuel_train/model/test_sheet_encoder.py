"""The lead sheet's modulation of the U-Net."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from samuel_runtime.leadsheet.raster import CHANNELS
from samuel_train.model.config import ModelConfig
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.sheet_encoder import modulated
from tests.support.train.toy import MODEL

FRAMES = 64


@pytest.fixture
def network() -> Denoiser:
    """Every weight counts."""
    torch.manual_seed(0)
    network = Denoiser(ModelConfig(**MODEL, sheet_width=8)).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x, vocals = (torch.randn(2, 64, FRAMES, dtype=torch.double, generator=generator) for _ in range(2))
    return x, vocals, torch.tensor([3, 700])


def test_a_sheet_of_zeros_is_none(network: Denoiser, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    nothing = torch.zeros(2, CHANNELS, FRAMES, dtype=torch.double)
    torch.testing.assert_close(network(*inputs, nothing), network(*inputs), rtol=1e-12, atol=1e-12)


def test_a_fresh_encoder_changes_nothing(network: Denoiser, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    sheet = torch.randn(2, CHANNELS, FRAMES, dtype=torch.double)
    assert not torch.allclose(network(*inputs, sheet), network(*inputs), rtol=1e-3)
    assert network.sheet is not None
    network.sheet.silence()
    torch.testing.assert_close(network(*inputs, sheet), network(*inputs))


def test_every_block_is_modulated_at_its_own_rate(network: Denoiser) -> None:
    assert network.sheet is not None
    modulation = network.sheet(torch.randn(2, CHANNELS, FRAMES, dtype=torch.double))
    blocks = [*network.unet.downs, network.unet.mid_resnet, *network.unet.up_resnets]
    channels = [block.conv1.in_channels for block in blocks]
    assert [each.shape[1] for each in modulation] == [2 * n for n in channels]
    assert [each.shape[2] for each in modulation] == [64, 32, 16, 8, 16, 32, 64]


def test_modulation_is_frame_by_frame() -> None:
    h, modulation = torch.ones(1, 2, 3), torch.zeros(1, 4, 3)
    modulation[0, 0, 1], modulation[0, 3, 2] = 0.5, -2.0
    torch.testing.assert_close(modulated(h, modulation), torch.tensor([[[1.0, 1.5, 1.0], [1.0, 1.0, -1.0]]]))
