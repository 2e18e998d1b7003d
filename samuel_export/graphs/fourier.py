"""The small codec's short-time Fourier transform (samuel_train/codec/model/stft.py) as matrix products.

The 2048 points are factored 32 x 64 (Cooley & Tukey, 1965): sample 64 row + column, bin k1 + 32 k2, and with them

    exp(2 pi i sample bin / 2048) = exp(2 pi i k1 (row / 32 + column / 2048)) exp(2 pi i k2 column / 64).

The first factor is a product for each column, which has the twiddle factors in it; the second is one product of two
matrices. Values are laid out so that what a product sums over already lies where the product wants it: column or k2
outermost, row or k1 innermost. So nothing of the spectrum's size is transposed, joined or split.

The tables stay float32 in files whose weights are half precision: rounded, they leak the lows into the highs, above the
noise floor of 16-bit recordings.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from samuel_export.graphs.builder import GraphBuilder
from samuel_train.codec.model.stft import BINS, LATTICE_SAMPLES, PAD_AFTER, PAD_BEFORE, STEPS, Analysis

ROWS, COLUMNS = 32, 64
HALF = BINS // ROWS
"""Values of k2 below Nyquist."""


def spectrum(g: GraphBuilder, audio: str, transform: Analysis) -> str:
    """Left and right (1, 2, frames * 2048) to the spectrum of mid and side, (2 parts, 32 k2, 2, 4 frames, 32 k1)."""
    left, right = g.split_op("Split", 2, audio, axis=1, num_outputs=2)
    doubled = g.op("Concat", g.op("Add", left, right), g.op("Sub", left, right), axis=1)
    padded = g.op("Pad", doubled, g.ints(0, 0, PAD_BEFORE, 0, 0, PAD_AFTER))
    cells = g.op("Reshape", padded, g.ints(2, -1, ROWS, COLUMNS))  # (mid or side, frames + 1, row, column)
    cells = g.op("Transpose", cells, perm=[3, 0, 1, 2])  # (column, channel, frames + 1, row)
    here = g.op("Slice", cells, g.ints(0), g.ints(-1), g.ints(2))
    following = g.op("Slice", cells, g.ints(1), g.ints(LATTICE_SAMPLES), g.ints(2))
    windowed = g.op(
        "Add",
        g.op("Mul", g.op("Unsqueeze", here, g.ints(3)), _windows(g, transform.windows_here / 2, channel_axis=2)),
        g.op("Mul", g.op("Unsqueeze", following, g.ints(3)), _windows(g, transform.windows_next / 2, channel_axis=2)),
    )  # (column, channel, frames, step, row)
    windowed = g.op("Reshape", windowed, g.ints(COLUMNS, 1, -1, ROWS))
    turn = _inner_phase()  # (column, row, k1)
    by_column = np.stack([np.cos(turn), -np.sin(turn)], axis=1)  # (column, part, row, k1)
    sums = g.op("MatMul", windowed, g.exact(by_column))  # (column, part, channel * 4 frames, k1)
    sums = g.op("Reshape", sums, g.ints(2 * COLUMNS, -1))
    turn = _outer_phase()  # (k2, column)
    across = np.stack([np.stack([np.cos(turn), np.sin(turn)], -1), np.stack([-np.sin(turn), np.cos(turn)], -1)])
    bins = g.op("MatMul", g.exact(across.reshape(2 * HALF, 2 * COLUMNS)), sums)  # rows (part, k2)
    return g.op("Reshape", bins, g.ints(2, HALF, 2, -1, ROWS))


def _windows(g: GraphBuilder, windows: Tensor, channel_axis: int) -> str:
    """Windows (step, 2048) as (column, step, row), with axes of one for channels and frames around the step."""
    by_column = windows.double().numpy().reshape(STEPS, ROWS, COLUMNS).transpose(2, 0, 1)
    return g.exact(np.expand_dims(by_column, (1, channel_axis)))


def _inner_phase() -> np.ndarray:
    """2 pi k1 (row / 32 + column / 2048), (column, row, k1)."""
    column, row, k1 = np.ogrid[:COLUMNS, :ROWS, :ROWS]
    return 2 * np.pi * ((COLUMNS * row + column) * k1 % LATTICE_SAMPLES) / LATTICE_SAMPLES


def _outer_phase() -> np.ndarray:
    """2 pi k2 column / 64, (k2, column)."""
    return 2 * np.pi * (np.outer(np.arange(HALF), np.arange(COLUMNS)) % COLUMNS) / COLUMNS
