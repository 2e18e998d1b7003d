"""Lead sheet encoder: frame-wise modulation of every block of the U-Net; the paper has nothing like it.

A lead sheet says at every frame where in the beat and in the bar it lies and which chord sounds
(samuel_runtime/leadsheet/raster.py). Convolutions bring it to each level's frame rate, and every residual block is
modulated by it, frame by frame, as FiLM modulates it by the timestep:

    h <- h (1 + gamma) + beta,   [gamma; beta] = Conv1(f_l),   f_0 = GELU(Conv3(GELU(Conv3(sheet)))),
                                                               f_(l+1) = GELU(Conv4(f_l)), stride 2

None of the convolutions has a bias and the last ones begin at zero: a sheet of zeros, of which nothing is known,
changes nothing, and a network that was trained without sheets goes on from what it was.
"""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from samuel_runtime.leadsheet.raster import CHANNELS


class SheetEncoder(nn.Module):
    """Of (batch, CHANNELS, frames) the modulation of every block, in the order in which they run."""

    def __init__(self, width: int, blocks: list[tuple[int, int]]) -> None:
        """``blocks`` are (channels, level) of the blocks; level l has frames / 2^l."""
        super().__init__()
        self.levels = [level for _, level in blocks]
        self.enter = nn.Conv1d(CHANNELS, width, 3, padding=1, bias=False)
        self.deepen = nn.Conv1d(width, width, 3, padding=1, bias=False)
        self.downs = nn.ModuleList(
            nn.Conv1d(width, width, 4, stride=2, padding=1, bias=False) for _ in range(max(self.levels))
        )
        self.leave = nn.ModuleList(nn.Conv1d(width, 2 * channels, 1, bias=False) for channels, _ in blocks)
        self.silence()

    def silence(self) -> None:
        """Begin as if there were no sheet."""
        for layer in self.leave:
            nn.init.zeros_(cast("nn.Conv1d", layer).weight)

    def forward(self, sheet: Tensor) -> list[Tensor]:
        """Sheets (batch, CHANNELS, frames) -> [gamma; beta] of each block, (batch, 2 n, frames / 2^level)."""
        features = [F.gelu(self.deepen(F.gelu(self.enter(sheet))))]
        for down in self.downs:
            features.append(F.gelu(down(features[-1])))
        return [layer(features[level]) for layer, level in zip(self.leave, self.levels, strict=True)]


def modulated(h: Tensor, modulation: Tensor | None) -> Tensor:
    """h (1 + gamma) + beta for h (batch, n, frames) and [gamma; beta] (batch, 2 n, frames), or h itself."""
    if modulation is None:
        return h
    gamma, beta = modulation.chunk(2, dim=1)
    return h * (1 + gamma) + beta
