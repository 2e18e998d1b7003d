"""Soft alignment attention: a global and a local cross-attention, mixed by how noisy the signal is.

Shapes are (batch, channels n, frames); both branches have heads of d = n / heads channels.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samuel_runtime.diffusion.schedule import Schedule
from samuel_runtime.errors import unhandled
from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.embedding import rotate

_PUBLISHED_LAST_TIMESTEP = 999  # the published code's constant, although its schedule has 800 steps


def mixing_weights(config: ModelConfig) -> Tensor:
    """Weights of the (local, global) branch for every timestep of the schedule.

    Documented: (a, 1 - a) with a = 1 - alpha_t, more local while the signal is noisy.
    Published code: (sqrt(t / 999), sqrt(1 - t / 999)).

    Returns:
        (timesteps, 2) float32
    """
    if config.alignment is Alignment.DOCUMENTED:
        alpha = Schedule.cosine(config.timesteps).alpha
        weights = np.stack([1 - alpha, alpha], axis=-1)
    elif config.alignment is Alignment.PUBLISHED_CODE:
        progress = np.arange(config.timesteps) / _PUBLISHED_LAST_TIMESTEP
        weights = np.sqrt(np.stack([progress, 1 - progress], axis=-1))
    else:
        raise unhandled(config.alignment)
    return torch.tensor(weights, dtype=torch.float32)


class GlobalAttention(nn.Module):
    """softmax(q k^T / sqrt d) v over all frames, with rotary embedding on q and k."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.to_out = nn.Linear(channels, channels)

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """What depends on the context alone, keys already rotated: (batch, heads, frames, d) each."""
        context = context.transpose(1, 2)  # (batch, frames, n)
        return rotate(self._split(self.to_k(context))), self._split(self.to_v(context))

    def attend(self, x: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries from ``x`` (batch, n, frames) over given keys and values: (batch, n, frames)."""
        q = rotate(self._split(self.to_q(x.transpose(1, 2))))  # (batch, heads, frames, d)
        y = F.scaled_dot_product_attention(q, k, v)
        y = y.transpose(1, 2).flatten(2)  # (batch, heads, frames, d) -> (batch, frames, n)
        return self.to_out(y).transpose(1, 2)  # (batch, n, frames)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(batch, n, frames) twice -> (batch, n, frames)."""
        return self.attend(x, *self.keys_values(context))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (batch, frames, n) -> (b, heads, frames, d)


class LocalAttention(nn.Module):
    """Frame i attends to frames i - window/2 .. i + window/2 - 1, without positions.

    Outside the song k and v are zero and are not masked out, so frames near an end give part of
    their attention to silence.
    """

    def __init__(self, channels: int, heads: int, window: int, alignment: Alignment) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.alignment = alignment
        self.to_q = nn.Conv1d(channels, channels, 1)
        self.to_k = nn.Conv1d(channels, channels, 1)
        self.to_v = nn.Conv1d(channels, channels, 1)
        self.to_out = nn.Conv1d(channels, channels, 1)

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """What depends on the context alone: (batch, n, frames) each."""
        return self.to_k(context), self.to_v(context)

    def attend(self, x: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries from ``x`` (batch, n, frames) over given keys and values: (batch, n, frames)."""
        q = self.to_q(x).unflatten(1, (self.heads, -1))  # (batch, n, frames) -> (batch, heads, d, frames)
        d = q.shape[2]
        logits = torch.einsum("bhdf,bhdfw->bhfw", q, self._windows(k)) * d**-0.5
        y = torch.einsum("bhfw,bhdfw->bhdf", logits.softmax(-1), self._windows(v))
        if self.alignment is Alignment.PUBLISHED_CODE:
            # Memory laid out as (batch, heads, frames, d) but read as (batch, heads, d, frames): this
            # reorders time within each head, and published checkpoints were trained to undo it.
            y = y.transpose(2, 3).contiguous().view_as(y)
        return self.to_out(y.flatten(1, 2))  # (batch, heads, d, frames) -> (batch, n, frames)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(batch, n, frames) twice -> (batch, n, frames)."""
        return self.attend(x, *self.keys_values(context))

    def _windows(self, x: Tensor) -> Tensor:
        before = self.window // 2
        padded = F.pad(x, (before, self.window - 1 - before))
        windows = padded.unfold(-1, self.window, 1)  # (batch, n, frames, window)
        return windows.unflatten(1, (self.heads, -1))  # (batch, heads, d, frames, window)


class SoftAlignment(nn.Module):
    """Align(x, c, t) = w_local(t) local(x, c) + w_global(t) global(x, c)."""

    def __init__(self, channels: int, config: ModelConfig) -> None:
        super().__init__()
        self.local = LocalAttention(channels, config.heads, config.window, config.alignment)
        self.global_ = GlobalAttention(channels, config.heads)

    def forward(self, x: Tensor, context: Tensor, mixing: Tensor) -> Tensor:
        """Cross-attend from ``x`` to ``context``, both (batch, n, frames).

        Args:
            mixing: (batch, 2), the rows of :func:`mixing_weights` at the batch's timesteps.

        Returns:
            (batch, n, frames)
        """
        local_weight, global_weight = mixing[:, :, None, None].unbind(1)  # (batch, 1, 1) each
        return local_weight * self.local(x, context) + global_weight * self.global_(x, context)
