"""Each exact rewrite against the module as it was trained, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samuel_export.graphs import rewrites
from samuel_export.graphs.attention import band_mask
from samuel_train.model.attention import SoftAlignment
from samuel_train.model.config import Alignment
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.embedding import rotate, timestep_embedding
from samuel_train.model.unet import FiLM
from tests.support.miniature import miniature_model
from tests.support.weights import relative_l2

BOUND = 1e-10
SONG_FRAMES = (8, 16, 72, 256)
BOTTOM_FRAMES = (1, 2, 9, 128)
BATCH = 2


def model(alignment: Alignment = Alignment.DOCUMENTED) -> Denoiser:
    return miniature_model(alignment).double()


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def applied(weights: rewrites.Linear, x: Tensor) -> Tensor:
    """To (batch, in, frames), over channels."""
    return torch.from_numpy(weights.weight) @ x + torch.from_numpy(weights.bias)[:, None]


def attended(
    weights: rewrites.AlignmentWeights, x: Tensor, context: Tensor, mixing: Tensor, like: SoftAlignment
) -> Tensor:
    """The rewritten alignment, written the long way: the whole song's logits under a band mask."""
    heads, window = like.local.heads, like.local.window

    def split(y: Tensor) -> Tensor:  # (batch, n, frames) -> (batch, heads, frames, d)
        return y.unflatten(1, (heads, -1)).transpose(2, 3)

    def padded(y: Tensor) -> Tensor:  # what lies outside the song is zero and is attended to
        return F.pad(y, (window // 2, window // 2 - 1))

    wide_q, near_q = applied(weights.queries, x).chunk(2, dim=1)
    wide_k, wide_v, near_k, near_v = applied(weights.keys_values, context).chunk(4, dim=1)
    wide = F.scaled_dot_product_attention(rotate(split(wide_q)), rotate(split(wide_k)), split(wide_v))

    i, j = torch.arange(x.shape[2])[:, None], torch.arange(x.shape[2] + window - 1)
    seen = (i <= j) & (j < i + window)
    near = F.scaled_dot_product_attention(split(near_q), split(padded(near_k)), split(padded(near_v)), seen)
    if like.local.alignment is Alignment.DOCUMENTED:
        near = near.transpose(2, 3)  # else (heads, frames, d) is read as (heads, d, frames)
    both = [near.reshape(x.shape), wide.transpose(2, 3).reshape(x.shape)]  # (batch, n, frames) each
    weighted = torch.cat([w[:, None, None] * y for w, y in zip(mixing.T, both, strict=True)], dim=1)
    biases = mixing @ torch.from_numpy(weights.output_biases)  # (batch, n)
    return torch.from_numpy(weights.output) @ weighted + biases[:, :, None]


def test_linear_reads_linears_and_1x1_convolutions_alike() -> None:
    x = random(BATCH, 6, 5)
    linear, convolution = nn.Linear(6, 4).double(), nn.Conv1d(6, 4, 1).double()
    assert relative_l2(applied(rewrites.linear(linear), x), linear(x.mT).mT.detach()) <= BOUND
    assert relative_l2(applied(rewrites.linear(convolution), x), convolution(x).detach()) <= BOUND


def test_array_keeps_float64() -> None:
    value = nn.Parameter(torch.tensor([1 + 1e-12], dtype=torch.float64))
    assert rewrites.array(value)[0] == value.item()


@pytest.mark.parametrize("width", [4, 64, 512])
def test_late_timesteps_drift_from_the_model(width: int) -> None:
    """Frequencies that were exact, where the model's are float32, cost six times all other rounding at t = 799."""
    t = np.arange(800, dtype=np.float32)
    angles = t[:, None] * rewrites.frequencies(width)
    expected = timestep_embedding(torch.arange(800), width, torch.float32).numpy()
    np.testing.assert_allclose(np.concatenate([np.sin(angles), np.cos(angles)], axis=1), expected, rtol=0, atol=3e-7)


@torch.no_grad()
@pytest.mark.parametrize("frames", SONG_FRAMES)
def test_after_is_the_output_convolutions_in_one(frames: int) -> None:
    m = model()
    h = random(BATCH, m.unet.final_conv.in_channels, frames)
    folded = rewrites.after(rewrites.linear(m.output_conv), rewrites.linear(m.unet.final_conv))
    assert relative_l2(applied(folded, h), m.output_conv(m.unet.final_conv(h))) <= BOUND


@torch.no_grad()
def test_stacked_gives_every_result_in_its_order() -> None:
    parts, x = [nn.Conv1d(5, n, 1).double() for n in (2, 3, 4)], random(BATCH, 5, 7)
    stacked = rewrites.stacked(*(rewrites.linear(part) for part in parts))
    for got, part in zip(applied(stacked, x).split([2, 3, 4], dim=1), parts, strict=True):
        assert relative_l2(got, part(x)) <= BOUND


@torch.no_grad()
@pytest.mark.parametrize("variant", list(Alignment))
@pytest.mark.parametrize("frames", SONG_FRAMES)
def test_first_alignment(variant: Alignment, frames: int) -> None:
    m, t = model(variant), torch.tensor([0, 650])
    n = m.config.base_channels
    x, context, mixing = random(BATCH, n, frames), random(BATCH, n, frames, seed=1), m.mixing[t]
    got = attended(rewrites.alignment(m.align), x, context, mixing, m.align)
    assert relative_l2(got, m.align(x, context, mixing)) <= BOUND


@torch.no_grad()
@pytest.mark.parametrize("variant", list(Alignment))
@pytest.mark.parametrize("frames", BOTTOM_FRAMES)
def test_bottleneck_alignment_with_its_projections_folded_in(variant: Alignment, frames: int) -> None:
    m, t = model(variant), torch.tensor([799, 120])
    bottom, n = m.unet.mid_attn, 8 * m.config.base_channels
    x, context, mixing = random(BATCH, n, frames), random(BATCH, n, frames, seed=1), m.mixing[t]
    folded = rewrites.alignment(bottom.attn, rewrites.linear(bottom.proj_x), rewrites.linear(bottom.proj_cond))
    assert relative_l2(attended(folded, x, context, mixing, bottom.attn), bottom(x, context, mixing)) <= BOUND


@torch.no_grad()
@pytest.mark.parametrize("frames", SONG_FRAMES)
def test_null_values_are_what_silence_gives_whatever_is_asked(frames: int) -> None:
    m = model()
    attention, n = m.align.global_, m.config.base_channels
    silence = m.cond_encoder(torch.zeros(BATCH, m.config.latent_channels, frames, dtype=torch.float64))
    attended = attention.attend(random(BATCH, n, frames), *attention.keys_values(silence))
    projected = applied(rewrites.linear(attention.to_out), torch.from_numpy(rewrites.null_values(m))[None, :, None])
    assert relative_l2(projected.expand_as(attended), attended) <= BOUND


@pytest.mark.parametrize("window", [2, 16])
def test_band_mask_shows_every_query_one_window(window: int) -> None:
    mask = band_mask(window)
    assert mask.shape == (window, 2 * window)
    for i, row in enumerate(mask):
        assert np.flatnonzero(row == 0).tolist() == list(range(i, i + window))
    hidden = mask[mask != 0].astype(np.float32)
    assert np.isfinite(hidden).all()
    assert (np.exp(hidden + np.float32(1e30)) == 0).all()  # whatever the logit


@torch.no_grad()
@pytest.mark.parametrize("frames", BOTTOM_FRAMES)
def test_context_means_without_the_convolutions(frames: int) -> None:
    m = model()
    context = random(BATCH, 8 * m.config.base_channels, frames)
    summary = summary_of(context)
    means = rewrites.context_means(m.unet.cond_ups)
    assert len(means.matrices) == len(means.constants) == len(m.unet.cond_ups) == 3
    for up, matrix, constant in zip(m.unet.cond_ups, means.matrices, means.constants, strict=True):
        context = up(context)
        assert relative_l2(summary @ matrix + constant, context.mean(-1)) <= BOUND


@torch.no_grad()
@pytest.mark.parametrize("frames", SONG_FRAMES)
def test_film_context_commutes_with_the_mean(frames: int) -> None:
    film = model().unet.mid_resnet.film
    context = random(BATCH, film.context_proj.in_channels, frames)
    got = applied(rewrites.film_context(film), context.mean(-1, keepdim=True))
    assert relative_l2(got[..., 0], film.context_proj(context).mean(-1)) <= BOUND


@torch.no_grad()
@pytest.mark.parametrize("frames", SONG_FRAMES)
def test_every_film_from_its_terms(frames: int) -> None:
    """As the model runs: what each FiLM was given and made of it, in the order of films_of."""
    m = model()
    seen = recorded_films(m, frames, torch.tensor([17, 733]))
    films, means = rewrites.films_of(m), rewrites.context_means(m.unet.cond_ups)
    assert [film for film, _, _ in seen] == films
    first, others = rewrites.film_terms(m, means)
    widths = [film.time_proj.out_features for film in films]
    u_first, u_others = seen[0][2], seen[1][2]
    terms = [applied(first, u_first[..., None])[..., 0]]
    terms += applied(others, u_others[..., None])[..., 0].split(widths[1:], dim=1)

    bottom_context = next(context for film, context, _ in seen if film is m.unet.mid_resnet.film)
    summary = summary_of(bottom_context)
    for index, ((film, context, u), term) in enumerate(zip(seen, terms, strict=True)):
        weight = rewrites.film_context(film).weight
        level = index - (len(films) - len(means.matrices))
        known = summary @ means.matrices[level] if level >= 0 else context.mean(-1).numpy()
        expected = film.time_proj(u) + film.context_proj(context).mean(-1)
        assert relative_l2(term.numpy() + known @ weight.T, expected) <= BOUND, f"FiLM {index}"


def summary_of(context: Tensor) -> np.ndarray:
    """[m, f / T, l / T, 1 / T] of (batch, n, T)."""
    frames = context.shape[2]
    ends = [context[..., 0], context[..., -1], torch.ones(len(context), 1)]
    return torch.cat([context.mean(-1), torch.cat(ends, dim=1) / frames], dim=1).numpy()


def recorded_films(m: Denoiser, frames: int, t: Tensor) -> list[tuple[FiLM, Tensor, Tensor]]:
    """(film, context, u) of every FiLM that runs."""
    seen = []

    def hook(film: nn.Module, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
        seen.append((film, inputs[1], inputs[2]))

    handles = [film.register_forward_pre_hook(hook) for film in m.modules() if isinstance(film, FiLM)]
    m(random(BATCH, 64, frames), random(BATCH, 64, frames, seed=1), t)
    for handle in handles:
        handle.remove()
    return seen
