"""The timestep's share of every FiLM: the table is the network's, and its factors are the table."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_export.graphs import rewrites
from samuel_export.graphs.timestep_table import TOLERANCES, factored, film_table
from samuel_export.precision.weights import WeightFormat
from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.denoiser import Denoiser
from tests.support.miniature import miniature_model
from tests.support.weights import relative_l2


@torch.no_grad()
@pytest.mark.parametrize("variant", list(Alignment))
def test_rows_are_what_the_network_adds(variant: Alignment) -> None:
    model = miniature_model(variant)
    table = film_table(model)
    films, means = rewrites.films_of(model), rewrites.context_means(model.unet.cond_ups)
    first, others = rewrites.film_terms(model, means)
    t = torch.tensor([0, 1, 17, 400, 799])
    time = model.time_features(t, torch.float32)
    expected = np.concatenate(
        [
            part.weight @ u.double().numpy().T + part.bias[:, None]
            for part, u in ((first, time.hidden), (others, time.embedding))
        ]
    ).T
    assert table.shape == (800, sum(film.time_proj.out_features for film in films))
    assert relative_l2(table[t.numpy()], expected) < 1e-6


@cache
def full_table() -> np.ndarray:
    torch.manual_seed(0)
    return film_table(Denoiser(ModelConfig()))


@pytest.mark.parametrize(("weight_format", "most"), [(WeightFormat.FP32, 450), (WeightFormat.FP16, 300)])
def test_factors_of_the_full_network_are_as_small_as_files_can_tell(weight_format: WeightFormat, most: int) -> None:
    table, tolerance = full_table(), TOLERANCES[weight_format]
    factors = factored(table, tolerance)
    rank = factors.rows.shape[1]
    assert relative_l2(factors.rows @ factors.columns + factors.mean, table) < tolerance
    assert rank < most
    smaller = factors.rows[:, : rank - 20] @ factors.columns[: rank - 20] + factors.mean
    assert relative_l2(smaller - factors.mean, table - factors.mean) > tolerance  # no room for a smaller one


@settings(max_examples=50, deadline=None)
@given(timesteps=st.integers(1, 12), width=st.integers(1, 12), rank=st.integers(0, 4), seed=st.integers(0, 2**32 - 1))
def test_factors_hold_any_table(timesteps: int, width: int, rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((timesteps, rank)) @ rng.standard_normal((rank, width)) + rng.standard_normal(width)
    factors = factored(table, 1e-8)
    assert factors.rows.shape[1] <= max(1, rank)
    np.testing.assert_allclose(factors.rows @ factors.columns + factors.mean, table, atol=1e-4)
