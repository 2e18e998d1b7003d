"""The ConvNeXt block along time (Liu et al., 2022; one-dimensional as in Vocos, Siuzdak, 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FIRST_LAYER_SCALE = 0.3


class ConvNextBlock(nn.Module):
    """Depthwise convolution over time, then a two-layer network on each frame; (batch, frames, width) in and out.

    Channels stay last, where the linear layers want them; the convolution is two-dimensional because its
    channels-last form is the fastest on CPUs.
    """

    def __init__(self, width: int, expansion: int, kernel_frames: int) -> None:
        super().__init__()
        self.along_time = nn.Conv2d(width, width, (1, kernel_frames), padding=(0, kernel_frames // 2), groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, expansion * width)
        self.activation = nn.GELU()
        self.narrow = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), _FIRST_LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width) to the same."""
        image = x.transpose(1, 2).unsqueeze(2)  # (batch, width, 1, frames), channels last in memory
        mixed = self.along_time(image).squeeze(2).transpose(1, 2)  # (batch, frames, width)
        return x + self.scale * self.narrow(self.activation(self.widen(self.norm(mixed))))
