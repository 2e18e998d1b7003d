"""The denoiser as it is trained: the same weights and function as in denoiser.py, less work.

The network's own modules compute as the paper writes it, which is what golden outputs, exports and benchmarks are
compared with. Training takes three of the exact rewrites that exports take: a FiLM's mean over frames comes before its
1x1 convolution; the decoder's context path is linear and only its means are used, so it works on three frames; and
local attention multiplies blocks of 16 queries with 32 keys, instead of gathering 16 keys for every query.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samuel_train.model.attention import LocalAttention
from samuel_train.model.config import Alignment
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.unet import UNet

Kind = TypeVar("Kind", bound=nn.Module)


class FastUNet(UNet):
    """The U-Net with means of the context where only its means are used."""

    def forward(
        self, h: Tensor, context: Tensor, u: Tensor, mixing: Tensor, sheet: Sequence[Tensor] | None = None
    ) -> Tensor:
        """As :meth:`UNet.forward`."""
        modulation: Iterator[Tensor | None] = repeat(None) if sheet is None else iter(sheet)
        skips = []
        for resnet, down in zip(self.downs, self.cond_downs, strict=True):
            h = resnet(h, context.mean(-1, keepdim=True), u, next(modulation))
            skips.append(h)
            h, context = down(h), down(context)

        h = self.mid_attn(h, context, mixing)
        # Mean, first and last frame are enough to follow the context through the decoder: (batch, n, 3).
        summary, frames = torch.stack([context.mean(-1), context[..., 0], context[..., -1]], dim=-1), context.shape[-1]
        h = self.mid_resnet(h, summary[..., :1], u, next(modulation))

        for up, cond_up, resnet in zip(self.ups, self.cond_ups, self.up_resnets, strict=True):
            h, summary, frames = up(h), _summary_above(cast("nn.ConvTranspose1d", cond_up), summary, frames), 2 * frames
            h = torch.cat([h, skips.pop()], dim=1)  # (batch, 2 n, frames)
            h = resnet(h, summary[..., :1], u, next(modulation))
        return cast("Tensor", self.final_conv(h))


def _summary_above(up: nn.ConvTranspose1d, summary: Tensor, frames: int) -> Tensor:
    """Mean, first and last frame, (batch, n, 3), after a transposed convolution of kernel 4, stride 2, padding 1.

    With taps W_k and T frames before it (samuel_export/graphs/rewrites.py makes all levels of this one matrix):

        mean' = ((W_0 + W_1 + W_2 + W_3) m - (W_0 f + W_3 l) / T) / 2 + b,   f' = W_1 f + b,   l' = W_2 l + b
    """
    mean, first, last = summary.unbind(-1)  # (batch, n_in) each
    taps = up.weight.unbind(-1)  # four of (n_in, n_out)
    whole = (mean @ up.weight.sum(-1) - (first @ taps[0] + last @ taps[3]) / frames) / 2
    return torch.stack([whole, first @ taps[1], last @ taps[2]], dim=-1) + cast("Tensor", up.bias)[:, None]


class BlockedLocalAttention(LocalAttention):
    """Local attention by blocks of as many queries as the window is wide, with a band mask."""

    def attend(self, x: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """As :meth:`LocalAttention.attend`."""
        batch, channels, frames = x.shape
        window, blocks = self.window, -(-frames // self.window)
        q = F.pad(self.to_q(x), (0, blocks * window - frames))
        q = q.view(batch, self.heads, -1, blocks, window).permute(0, 1, 3, 4, 2)  # (batch, heads, blocks, window, d)
        k, v = (self._blocked(each, blocks) for each in (k, v))  # (batch, heads, blocks, d, 2 windows)
        logits = q @ k * q.shape[-1] ** -0.5
        weights = (logits + self._band(logits)).softmax(-1)  # (batch, heads, blocks, window, 2 windows)
        y = (weights.to(v.dtype) @ v.transpose(-2, -1)).flatten(2, 3)[:, :, :frames]  # (batch, heads, frames, d)
        if self.alignment is Alignment.DOCUMENTED:
            y = y.transpose(2, 3)
        # As published, memory laid out as (batch, heads, frames, d) is read as (batch, heads, d, frames).
        return cast("Tensor", self.to_out(y.reshape(batch, channels, frames)))

    def _blocked(self, x: Tensor, blocks: int) -> Tensor:
        """(batch, n, frames) to the two windows around each block, (batch, heads, blocks, d, 2 windows)."""
        before = self.window // 2
        after = (blocks + 1) * self.window - before - x.shape[-1]
        halves = F.pad(x, (before, after)).unflatten(-1, (blocks + 1, self.window))
        both = torch.cat([halves[:, :, :-1], halves[:, :, 1:]], dim=-1)  # (batch, n, blocks, 2 windows)
        return both.unflatten(1, (self.heads, -1)).transpose(2, 3)

    def _band(self, logits: Tensor) -> Tensor:
        """(window, 2 windows): 0 where query i may look, at keys i .. i + window - 1 of its block, else -infinity."""
        ones = torch.ones(logits.shape[-2:], dtype=torch.bool, device=logits.device)
        seen = ones.triu() & ones.tril(self.window - 1)
        return torch.zeros_like(seen, dtype=logits.dtype).masked_fill(~seen, float("-inf"))


def with_fast_forward(model: Denoiser) -> Denoiser:
    """The model itself, its U-Net and local attentions exchanged; parameters and their names stay."""
    model.unet = exchanged(model.unet, FastUNet)
    for align in (model.align, model.unet.mid_attn.attn):
        align.local = exchanged(align.local, BlockedLocalAttention)
    return model


def exchanged(module: nn.Module, kind: type[Kind]) -> Kind:
    """A module of another kind with the same parameters and attributes: the same weights, another forward."""
    new = kind.__new__(kind)
    new.__dict__.update(module.__dict__)
    return new
