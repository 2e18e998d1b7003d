"""Timestep tables without their singular values, or with them once: they take most of the time of a graph."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from samuel_export.graphs import denoiser
from samuel_export.graphs.timestep_table import Factors, factored

_factors: dict[tuple[str, float], Factors] = {}


def write_whole_tables(patch: pytest.MonkeyPatch) -> None:
    """Let timestep tables be written as they are; that their factors hold them, test_timestep_table.py shows."""
    patch.setattr(denoiser, "factored", _whole)


def remember_factors(patch: pytest.MonkeyPatch) -> None:
    """Let equal tables have the same factors; most exports here are of one miniature network."""
    patch.setattr(denoiser, "factored", _remembered)


def _whole(table: np.ndarray, tolerance: float) -> Factors:
    mean = table.mean(axis=0)
    return Factors(np.eye(len(table)), table - mean, mean)


def _remembered(table: np.ndarray, tolerance: float) -> Factors:
    key = (hashlib.sha256(table.tobytes()).hexdigest(), tolerance)
    if key not in _factors:
        _factors[key] = factored(table, tolerance)
    return _factors[key]
