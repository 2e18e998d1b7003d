"""Positions as sines and cosines: the diffusion timestep, and the frames of global attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LONGEST_PERIOD = 10000.0  # Vaswani et al. (2017), section 3.5; Su et al. (2021), eq. 15


def timestep_embedding(t: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """e(t) = [sin(t f_i), cos(t f_i)] with f_i = 10000^(-2i / width), i < width / 2.

    Args:
        t: (batch,) integer timesteps.
        width: D, even.
        dtype: of the result; angles are computed in at least float32.

    Returns:
        (batch, width)
    """
    angles = _angles(t, width, dtype)  # (batch, width / 2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).to(dtype)


def rotate(x: Tensor) -> Tensor:
    """Rotary position embedding over interleaved channel pairs: Su et al. (2021), eq. 34.

    The pair (2j, 2j + 1) of frame i turns by the angle i * 10000^(-2j / d). Nothing is stored:
    the angles follow from the shape.

    Args:
        x: (..., frames, d), d even.

    Returns:
        (..., frames, d)
    """
    frames, d = x.shape[-2:]
    angles = _angles(torch.arange(frames, device=x.device), d, x.dtype)  # (frames, d / 2)
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]  # (..., frames, d / 2) each
    turned = torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
    return turned.flatten(-2)  # (..., frames, d / 2, 2) -> (..., frames, d)


def _angles(position: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """(positions, width / 2): half precision cannot hold position times frequency, so never in it."""
    wide = torch.promote_types(dtype, torch.float32)
    return position.to(wide)[:, None] * frequencies(width, wide, position.device)


def frequencies(width: int, dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
    """f_i = 10000^(-2i / width) of the timestep embedding and of rotary embedding, (width / 2,)."""
    i = torch.arange(width // 2, device=device, dtype=dtype)
    return torch.exp(-math.log(_LONGEST_PERIOD) * i / (width // 2))
