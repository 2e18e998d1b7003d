"""The U-Net between the first alignment and the output: three levels, each FiLM-conditioned on the vocals.

Shapes are (batch, channels, frames); every level halves the frames and doubles the channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samuel_train.model.attention import SoftAlignment
from samuel_train.model.config import LEVELS, ModelConfig
from samuel_train.model.sheet_encoder import modulated


class FiLM(nn.Module):
    """Feature-wise modulation by the timestep and the context's mean: Perez et al. (2018).

    [gamma; beta] = time_proj(u) + mean over frames of context_proj(context);  FiLM(h) = gamma h + beta
    """

    def __init__(self, channels: int, time_width: int) -> None:
        super().__init__()
        self.time_proj = nn.Linear(time_width, 2 * channels)
        self.context_proj = nn.Conv1d(channels, 2 * channels, 1)

    def forward(self, h: Tensor, context: Tensor, u: Tensor) -> Tensor:
        """h (batch, n, frames), context (batch, n, any frames), u (batch, time_width) -> as h."""
        modulation = self.time_proj(u) + self.context_proj(context).mean(-1)  # (batch, 2 n)
        gamma, beta = modulation[:, :, None].chunk(2, dim=1)  # (batch, n, 1) each
        return gamma * h + beta


class ResidualBlock(nn.Module):
    """h + Conv3(SiLU(GN(FiLM(Conv3(SiLU(GN(h))))))), where both GN are one and the same module.

    A lead sheet's modulation, which the paper does not have, comes after FiLM.
    """

    def __init__(self, channels: int, time_width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.conv1 = nn.Conv1d(channels, channels, 3, padding=1)
        self.film = FiLM(channels, time_width)
        self.conv2 = nn.Conv1d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor, context: Tensor, u: Tensor, sheet: Tensor | None = None) -> Tensor:
        """h and context (batch, n, frames), u (batch, time_width), sheet (batch, 2 n, frames) -> (batch, n, frames)."""
        g = self.conv1(F.silu(self.norm(h)))
        g = modulated(self.film(g, context, u), sheet)
        return h + self.conv2(F.silu(self.norm(g)))


class Downsample(nn.Module):
    """SiLU(GN(Conv4(h))), stride 2: (batch, n, frames) -> (batch, 2 n, frames / 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 2 * channels, 4, stride=2, padding=1)
        self.norm = nn.GroupNorm(1, 2 * channels)

    def forward(self, h: Tensor) -> Tensor:
        """(batch, n, frames) -> (batch, 2 n, frames / 2)."""
        return F.silu(self.norm(self.conv(h)))


class BottleneckAlignment(nn.Module):
    """Align(Conv1(h), Conv1(c), t), without a residual."""

    def __init__(self, channels: int, config: ModelConfig) -> None:
        super().__init__()
        self.proj_x = nn.Conv1d(channels, channels, 1)
        self.proj_cond = nn.Conv1d(channels, channels, 1)
        self.attn = SoftAlignment(channels, config)

    def forward(self, h: Tensor, context: Tensor, mixing: Tensor) -> Tensor:
        """h and context (batch, n, frames), mixing (batch, 2) -> (batch, n, frames)."""
        return self.attn(self.proj_x(h), self.proj_cond(context), mixing)


class UNet(nn.Module):
    """Encoder, bottleneck and decoder; the context travels beside the signal through every level.

    With widths n_i = C 2^i, i = 0 .. 2, and bottom width 8C:

        encoder i:  h = Res_i(h, c);  skip_i = h;  h = Down_i(h);  c = Down_i(c), the same module
        bottleneck: h = Align(Conv1(h), Conv1(c), t);  h = Res(h, c)
        decoder i:  h = ConvT(h);  c = ConvT(c);  h = Res(concat(h, skip_(2-i)), c)
        output:     Conv1(h)
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        base, time_width = config.base_channels, config.time_width
        widths = [base * 2**i for i in range(LEVELS)]  # C, 2C, 4C
        bottom = base * 2**LEVELS  # 8C
        self.downs = nn.ModuleList(ResidualBlock(n, time_width) for n in widths)
        self.cond_downs = nn.ModuleList(Downsample(n) for n in widths)
        self.mid_attn = BottleneckAlignment(bottom, config)
        self.mid_resnet = ResidualBlock(bottom, time_width)
        # A decoder level works at 2n channels, n from below and n from the skip; below[i] enters level i.
        decoder_widths = [2 * n for n in reversed(widths)]  # 8C, 4C, 2C
        below = [bottom, *decoder_widths[:-1]]  # 8C, 8C, 4C
        self.ups = nn.ModuleList(_upsample(i, n // 2) for i, n in zip(below, decoder_widths, strict=True))
        self.cond_ups = nn.ModuleList(_upsample(i, n) for i, n in zip(below, decoder_widths, strict=True))
        self.up_resnets = nn.ModuleList(ResidualBlock(n, time_width) for n in decoder_widths)
        self.final_conv = nn.Conv1d(2 * base, base, 1)

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """(channels, level) of the residual blocks, in the order in which they run; level l has frames / 2^l."""
        widths = [block.conv1.in_channels for block in (*self.downs, self.mid_resnet, *self.up_resnets)]
        return list(zip(widths, [*range(LEVELS), LEVELS, *reversed(range(LEVELS))], strict=True))

    def forward(
        self, h: Tensor, context: Tensor, u: Tensor, mixing: Tensor, sheet: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Run all levels.

        Args:
            h: (batch, C, frames), frames a multiple of 8.
            context: (batch, C, frames)
            u: (batch, time_width), the raw timestep embedding.
            mixing: (batch, 2), weights of the local and global branch.
            sheet: the lead sheet's modulation of every block, (batch, 2 n, frames / 2^level).

        Returns:
            (batch, C, frames)
        """
        modulation: Iterator[Tensor | None] = repeat(None) if sheet is None else iter(sheet)
        skips = []
        for resnet, down in zip(self.downs, self.cond_downs, strict=True):
            h = resnet(h, context, u, next(modulation))
            skips.append(h)
            h, context = down(h), down(context)

        h = self.mid_attn(h, context, mixing)
        h = self.mid_resnet(h, context, u, next(modulation))

        for up, cond_up, resnet in zip(self.ups, self.cond_ups, self.up_resnets, strict=True):
            h, context = up(h), cond_up(context)
            h = torch.cat([h, skips.pop()], dim=1)  # (batch, 2 n, frames)
            h = resnet(h, context, u, next(modulation))
        return self.final_conv(h)


def _upsample(channels_in: int, channels_out: int) -> nn.ConvTranspose1d:
    return nn.ConvTranspose1d(channels_in, channels_out, 4, stride=2, padding=1)
