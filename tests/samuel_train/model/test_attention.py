"""Soft alignment attention against the equations, written out frame by frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from samuel_train.model.attention import GlobalAttention, LocalAttention, SoftAlignment, mixing_weights
from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.embedding import rotate, timestep_embedding
from tests.support.weights import normal, relative_l2

CHANNELS, HEADS, WINDOW = 32, 4, 16
D = CHANNELS // HEADS


def tensor(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(normal(seed, *shape)).double()


def local_attention(alignment: Alignment) -> LocalAttention:
    torch.manual_seed(0)
    return LocalAttention(CHANNELS, HEADS, WINDOW, alignment).double()


def attended_frame_by_frame(local: LocalAttention, x: Tensor, context: Tensor) -> Tensor:
    """(heads, frames, d): every query against its window, with zeros beyond the ends."""
    frames = x.shape[-1]
    q, k, v = (
        (m.weight[:, :, 0] @ z + m.bias[:, None]).reshape(HEADS, D, frames)
        for m, z in ((local.to_q, x[0]), (local.to_k, context[0]), (local.to_v, context[0]))
    )
    out = torch.zeros(HEADS, frames, D, dtype=x.dtype)
    for head in range(HEADS):
        for i in range(frames):
            inside = [0 <= j < frames for j in range(i - WINDOW // 2, i + WINDOW // 2)]
            keys, values = torch.zeros(2, WINDOW, D, dtype=x.dtype)
            low, high = max(0, i - WINDOW // 2), min(frames, i + WINDOW // 2)
            keys[torch.tensor(inside)] = k[head, :, low:high].T
            values[torch.tensor(inside)] = v[head, :, low:high].T
            out[head, i] = torch.softmax(keys @ q[head, :, i] / math.sqrt(D), 0) @ values
    return out


@torch.no_grad()
@pytest.mark.parametrize("alignment", Alignment)
def test_local_attention_is_the_equation(alignment: Alignment) -> None:
    local, x, context = local_attention(alignment), tensor(1, 1, CHANNELS, 24), tensor(2, 1, CHANNELS, 24)
    attended = attended_frame_by_frame(local, x, context)  # (heads, frames, d)
    if alignment is Alignment.DOCUMENTED:
        attended = attended.transpose(1, 2)  # (heads, d, frames)
    laid_out = attended.reshape(CHANNELS, 24)
    expected = local.to_out.weight[:, :, 0] @ laid_out + local.to_out.bias[:, None]
    assert relative_l2(local(x, context)[0], expected) < 1e-12


@torch.no_grad()
def test_global_attention_is_the_equation() -> None:
    torch.manual_seed(0)
    attention = GlobalAttention(CHANNELS, HEADS).double()
    x, context = tensor(1, 1, CHANNELS, 24), tensor(2, 1, CHANNELS, 24)
    angle = torch.arange(24)[:, None] * 10000.0 ** (-2 * torch.arange(D // 2) / D)  # (frames, pairs)
    turn = torch.polar(torch.ones_like(angle), angle).to(torch.complex128)

    def turned(z: Tensor) -> Tensor:
        pairs = torch.view_as_complex(z.reshape(24, D // 2, 2).contiguous())  # (frames, pairs)
        return torch.view_as_real(pairs * turn).reshape(24, D)

    q, k, v = attention.to_q(x[0].T), attention.to_k(context[0].T), attention.to_v(context[0].T)
    heads = []
    for head in range(HEADS):
        own = slice(head * D, (head + 1) * D)
        logits = turned(q[:, own]) @ turned(k[:, own]).T / math.sqrt(D)
        heads.append(logits.softmax(-1) @ v[:, own])
    expected = attention.to_out(torch.cat(heads, -1)).T
    assert relative_l2(attention(x, context)[0], expected) < 1e-6  # angles here are float32


@torch.no_grad()
@pytest.mark.parametrize("frame", [0, 3, 20, 39])
def test_a_vocal_frame_reaches_its_window_only(frame: int) -> None:
    """The published code's head layout spread a frame over the whole song."""
    x, context = tensor(1, 1, CHANNELS, 40), tensor(2, 1, CHANNELS, 40)
    changed = context.clone()
    changed[:, :, frame] += 1
    local = local_attention(Alignment.DOCUMENTED)
    difference = (local(x, changed) - local(x, context)).abs().amax(dim=(0, 1))  # (frames,)
    queries = torch.arange(40)
    sees = (queries - WINDOW // 2 <= frame) & (frame <= queries + WINDOW // 2 - 1)
    assert (difference[sees] > 0).all()
    assert (difference[~sees] == 0).all()


@torch.no_grad()
def test_published_layout_reorders_time_within_a_head() -> None:
    x, context = tensor(1, 1, CHANNELS, 40), tensor(2, 1, CHANNELS, 40)
    changed = context.clone()
    changed[:, :, 20] += 1
    local = local_attention(Alignment.PUBLISHED_CODE)
    touched = (local(x, changed) - local(x, context)).abs().amax(dim=(0, 1)) > 0
    assert touched[:8].any() and touched[-8:].any()


@torch.no_grad()
@pytest.mark.parametrize("kind", [GlobalAttention, LocalAttention])
def test_keys_and_values_can_be_computed_once(kind: type) -> None:
    torch.manual_seed(0)
    extra = () if kind is GlobalAttention else (WINDOW, Alignment.DOCUMENTED)
    attention = kind(CHANNELS, HEADS, *extra)
    x, context = torch.randn(2, CHANNELS, 24), torch.randn(2, CHANNELS, 24)
    assert torch.equal(attention.attend(x, *attention.keys_values(context)), attention(x, context))


@pytest.mark.parametrize("timesteps", [8, 50, 800, 1000])
def test_documented_mixing_runs_from_global_to_local_at_every_schedule_length(timesteps: int) -> None:
    """The published code divides by 999 whatever T is, so it never reached the local end."""
    local, global_ = mixing_weights(ModelConfig(timesteps=timesteps)).double().unbind(-1)
    assert local[0] < 0.2 / timesteps + 1e-4 and local[-1] > 0.98
    assert (local.diff() > 0).all()
    assert torch.allclose(local + global_, torch.ones(timesteps, dtype=torch.float64), atol=1e-7)


def test_published_mixing_keeps_its_999() -> None:
    weights = mixing_weights(ModelConfig(alignment=Alignment.PUBLISHED_CODE))
    assert weights.shape == (800, 2)
    assert weights[0].tolist() == [0, 1]
    assert weights[799].tolist() == pytest.approx([math.sqrt(799 / 999), math.sqrt(200 / 999)], rel=1e-6)


@torch.no_grad()
def test_each_branch_carries_its_own_weight() -> None:
    torch.manual_seed(0)
    align = SoftAlignment(64, ModelConfig())
    x, context = torch.randn(3, 64, 16), torch.randn(3, 64, 16)
    mixing = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]])
    mixed, local, global_ = align(x, context, mixing), align.local(x, context), align.global_(x, context)
    assert torch.equal(mixed[0], local[0])
    assert torch.equal(mixed[1], global_[1])
    assert torch.allclose(mixed[2], 0.3 * local[2] + 0.7 * global_[2], atol=1e-6)


def test_rotation_depends_on_distance_alone() -> None:
    q, k = tensor(1, D), tensor(2, D)
    scores = rotate(q.expand(64, D)) @ rotate(k.expand(64, D)).T  # (query frame, key frame)
    for distance in (-9, 0, 5):
        diagonal = scores.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[0].expand_as(diagonal), atol=1e-12)
    assert not torch.isclose(scores[0, 0], scores[0, 5], rtol=1e-3)


def test_half_precision_angles_are_computed_in_single() -> None:
    t = torch.tensor([799, 798])
    embedding = timestep_embedding(t, 512, torch.float64)
    for dtype, bound in ((torch.bfloat16, 3e-3), (torch.float16, 4e-4), (torch.float32, 1e-4)):
        assert relative_l2(timestep_embedding(t, 512, dtype).double(), embedding) < bound
    x = tensor(3, 1024, D)
    assert relative_l2(rotate(x.bfloat16()).double(), rotate(x)) < 6e-3


def test_timestep_embedding_is_sines_then_cosines() -> None:
    frequency = np.exp(-math.log(1e4) * np.arange(4) / 4)
    expected = np.concatenate([np.sin(37 * frequency), np.cos(37 * frequency)])
    embedding = timestep_embedding(torch.tensor([0, 37]), 8, torch.float64)
    assert embedding[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert relative_l2(embedding[1], expected) < 1e-12
