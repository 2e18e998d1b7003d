"""Full-size networks as graphs without the singular values of their timestep tables, which take most of the time."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_export.graphs import denoiser
from samuel_export.graphs.timestep_table import Factors


def write_whole_tables(patch: pytest.MonkeyPatch) -> None:
    """Let timestep tables be written as they are; that their factors hold them, test_timestep_table.py shows."""
    patch.setattr(denoiser, "factored", _whole)


def _whole(table: np.ndarray, tolerance: float) -> Factors:
    mean = table.mean(axis=0)
    return Factors(np.eye(len(table)), table - mean, mean)
