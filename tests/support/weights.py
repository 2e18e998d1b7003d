"""Weights and inputs that anyone can rebuild from a seed: the recipe behind tests/support/data/golden.npz."""

from __future__ import annotations

import json
import math
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DATA = Path(__file__).parent / "data"


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published implementation's parameters."""
    shapes = json.loads((DATA / "published_state_dict.json").read_text())
    return {name: tuple(shape) for name, shape in shapes.items()}


def normal(seed: int, *shape: int) -> np.ndarray:
    """Standard normal numbers, float32."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(shape).astype(np.float32)


def recipe_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """One parameter, from its name and shape."""
    w = normal(zlib.crc32(name.encode()), *shape)
    if len(shape) >= 2:
        w = w * np.float32((math.prod(shape) // shape[0]) ** -0.5)
    elif name.endswith("norm.weight"):
        w = 1 + np.float32(0.1) * w
    else:
        w = np.float32(0.1) * w
    return torch.from_numpy(w)


def golden_state_dict() -> dict[str, Tensor]:
    """All parameters of the published shape, 62 MB; read them only."""
    return dict(_golden_weights())


@cache
def _golden_weights() -> dict[str, Tensor]:
    return {name: recipe_weight(name, shape) for name, shape in published_shapes().items()}


def relative_l2(actual: np.ndarray | Tensor, expected: np.ndarray | Tensor) -> float:
    """|actual - expected| / |expected|, in float64."""
    a, b = (np.asarray(value, dtype=np.float64) for value in (actual, expected))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
