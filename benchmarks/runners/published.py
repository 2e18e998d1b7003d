"""The published implementation's way to compute the network: the baseline that the paper's speed would have.

SAMUeL-GEN (MIT) builds its attention from plain products: scores by a matrix product, softmax, another matrix product;
local windows by ``unfold`` with a broadcast multiplication and a sum. Everything else it computes as
:mod:`samuel_train` does: FiLM's convolution before its mean, the decoder's whole context path, one-dimensional
convolutions. So this is :class:`samuel_train.model.denoiser.Denoiser` with both attentions exchanged, on its weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from samuel_runtime.diffusion.schedule import Schedule, x0_from_output
from samuel_train.model.attention import GlobalAttention, LocalAttention
from samuel_train.model.config import Alignment
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.embedding import frequencies
from samuel_train.model.fast_forward import exchanged


class PublishedGlobalAttention(GlobalAttention):
    """All scores as one array (batch, heads, frames, frames); the tables of rotary embedding are kept."""

    _tables: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(batch, n, frames) twice -> (batch, n, frames)."""
        x, context = x.transpose(1, 2), context.transpose(1, 2)  # (batch, frames, n)
        q, k = self._rotated(self._split(self.to_q(x))), self._rotated(self._split(self.to_k(context)))
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5  # (batch, heads, frames, frames)
        y = scores.softmax(-1) @ self._split(self.to_v(context))  # (batch, heads, frames, d)
        return self.to_out(y.transpose(1, 2).flatten(2)).transpose(1, 2)  # (batch, n, frames)

    def _rotated(self, x: Tensor) -> Tensor:
        frames, d = x.shape[-2:]
        if self._tables is None or self._tables[0].shape != (frames, d // 2):
            angles = torch.arange(frames, device=x.device)[:, None] * frequencies(d, x.dtype, x.device)
            self._tables = angles.cos(), angles.sin()  # (frames, d / 2) each
        cosine, sine = self._tables
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1).flatten(-2)


class PublishedLocalAttention(LocalAttention):
    """Every window of keys and values is multiplied with its query element by element, then summed."""

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(batch, n, frames) twice -> (batch, n, frames)."""
        q = self.to_q(x).unflatten(1, (self.heads, -1))  # (batch, n, frames) -> (batch, heads, d, frames)
        k, v = (self._windows(projected) for projected in self.keys_values(context))  # (batch, heads, d, frames, w)
        weights = ((q[..., None] * k).sum(2) * q.shape[2] ** -0.5).softmax(-1)  # (batch, heads, frames, w)
        y = (weights[:, :, None] * v).sum(-1)  # (batch, heads, d, frames)
        if self.alignment is Alignment.PUBLISHED_CODE:
            y = y.transpose(2, 3).contiguous().view_as(y)  # see LocalAttention.attend
        return self.to_out(y.flatten(1, 2))  # (batch, n, frames)


def published(model: Denoiser) -> Denoiser:
    """A copy of the model, in evaluation mode, that computes its attentions as the published code does."""
    changed = copy.deepcopy(model).eval()
    for align in (changed.align, changed.unet.mid_attn.attn):
        align.local = exchanged(align.local, PublishedLocalAttention)
        align.global_ = exchanged(align.global_, PublishedGlobalAttention)
    return changed


@torch.no_grad()
def guided(model: nn.Module, x: Tensor, vocals: Tensor, t: Tensor, guidance: float) -> Tensor:
    """A guided step as the published sampler takes it: two calls, with the vocals and with zeros in their place.

    x and vocals (batch, channels, frames), t (batch,) int64 -> (batch, channels, frames).
    """
    conditional = model(x, vocals, t)
    null = model(x, torch.zeros_like(vocals), t)
    return null + guidance * (conditional - null)


@torch.no_grad()
def ancestral_steps(
    model: Denoiser, vocals: Tensor, guidance: float, draw: Callable[[int], Tensor], clamp: tuple[float, float]
) -> Iterator[Tensor]:
    """The published sampler: one posterior draw of DDPM at every timestep, downwards; yields the latents after each.

    Args:
        model: the network.
        vocals: (batch, channels, frames), normalised.
        guidance: its scale.
        draw: standard normal noise of the latents' shape for a timestep; for the schedule's length, the start.
        clamp: bounds of x_0 and of the latents after every step.
    """
    schedule = Schedule.cosine(model.config.timesteps)
    betas, abar = torch.from_numpy(schedule.betas).float(), torch.from_numpy(schedule.alphas_cumprod).float()
    abar_before = torch.cat([torch.ones(1), abar[:-1]])
    variance = betas * (1 - abar_before) / (1 - abar)
    log_variance = variance.clamp(min=1e-20).log().clamp(-10, 1)
    x = draw(schedule.timesteps)
    for t in reversed(range(schedule.timesteps)):
        output = guided(model, x, vocals, torch.full((len(x),), t), guidance)
        alpha, sigma = abar[t].sqrt().item(), (1 - abar[t]).sqrt().item()
        x0 = x0_from_output(model.config.prediction, x, output, alpha, sigma).clamp(*clamp)
        x = (betas[t] * abar_before[t].sqrt() * x0 + (1 - abar_before[t]) * (1 - betas[t]).sqrt() * x) / (1 - abar[t])
        if t:
            x = x + (0.5 * log_variance[t]).exp() * draw(t)
        x = x.clamp(*clamp)
        yield x
