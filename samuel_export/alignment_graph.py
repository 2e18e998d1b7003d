"""Soft alignment attention as graph nodes: a fused global attention and a banded local one.

Values are (rows, channels, 1, frames): ONNX Runtime's 2-D convolutions are its fast ones. ``rows`` counts
guidance branches times batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from samuel_export.builder import GraphBuilder
from samuel_export.rewrite import Linear, frequencies
from samuel_train.config import Alignment, ModelConfig

_EVERYTHING = np.iinfo(np.int64).max  # slice ends: to the end of the axis


@dataclass(frozen=True)
class Memory:
    """Keys and values of one alignment, ready to be attended to."""

    global_keys: str
    """(rows, heads, frames, d), rotated."""
    global_values: str
    """(rows, heads, frames, d)"""
    local_keys: str
    """(rows, heads * blocks, 2 window, d)"""
    local_values: str
    """(rows, heads * blocks, 2 window, d)"""


def conv1x1(g: GraphBuilder, x: str, weights: Linear) -> str:
    """(rows, in, 1, frames) -> (rows, out, 1, frames)."""
    return g.op("Conv", x, g.weight(weights.weight[:, :, None, None]), g.weight(weights.bias))


def write_memory(g: GraphBuilder, context: str, keys_values: Linear, config: ModelConfig) -> Memory:
    """Project a context (rows, n, 1, frames) to keys and values."""
    parts = g.split_op("Split", 4, conv1x1(g, context, keys_values), axis=1, num_outputs=4)
    global_keys, global_values = (_heads_last(g, part, config.heads) for part in parts[:2])
    blocks = _Blocks(g, context, config)
    local_keys, local_values = (blocks.two_windows(part) for part in parts[2:])
    return Memory(
        _rotated(g, global_keys, len(keys_values.bias) // 4 // config.heads), global_values, local_keys, local_values
    )


def write_attention(g: GraphBuilder, x: str, queries: Linear, memory: Memory, config: ModelConfig) -> tuple[str, str]:
    """Attend from x (rows, n, 1, frames); the local and the global result, (rows, n, 1, frames) each."""
    n = len(queries.bias) // 2
    scale = float((n // config.heads) ** -0.5)
    global_q, local_q = g.split_op("Split", 2, conv1x1(g, x, queries), axis=1, num_outputs=2)

    q = _rotated(g, _heads_last(g, global_q, config.heads), n // config.heads)
    wide = g.op("Attention", q, memory.global_keys, memory.global_values, scale=scale)
    wide = _channels_first(g, g.op("Transpose", wide, perm=[0, 1, 3, 2]), n)

    blocks = _Blocks(g, x, config)
    band = g.weight(band_mask(config.window))
    near = g.op("Attention", blocks.queries(local_q), memory.local_keys, memory.local_values, band, scale=scale)
    near = blocks.joined(near)  # (rows, heads, frames, d)
    if config.alignment is Alignment.DOCUMENTED:
        near = g.op("Transpose", near, perm=[0, 1, 3, 2])
    # else: the published code reads (heads, frames, d) in memory as (heads, d, frames), and so does the reshape.
    return _channels_first(g, near, n), wide


def band_mask(window: int) -> np.ndarray:
    """(window, 2 window): 0 where query i may see key j, i <= j < i + window, else a number that softmax sends to 0."""
    i, j = np.arange(window)[:, None], np.arange(2 * window)[None, :]
    return np.where((i <= j) & (j < i + window), 0.0, np.finfo(np.float32).min / 2)


class _Blocks:
    """Frames in blocks of one window; each block of queries sees the two windows of keys around it."""

    def __init__(self, g: GraphBuilder, like: str, config: ModelConfig) -> None:
        self._g, self._heads, self._window = g, config.heads, config.window
        self.frames = g.op("Shape", like, start=3, end=4)  # (1,)
        size = g.ints(config.window)
        remainder = g.op("Mod", self.frames, size)
        self._missing = g.op("Mod", g.op("Sub", size, remainder), size)  # frames to the next full block

    def queries(self, x: str) -> str:
        """(rows, n, 1, frames) -> (rows, heads * blocks, window, d)."""
        g = self._g
        x = self._padded(_heads(g, x, self._heads), 0, self._missing)
        x = g.op("Transpose", x, perm=[0, 1, 3, 2])  # (rows, heads, blocks * window, d)
        return g.op("Reshape", x, self._block_shape(self._window, x))

    def two_windows(self, x: str) -> str:
        """(rows, n, 1, frames) -> (rows, heads * blocks, 2 window, d), beginning half a window before each block."""
        g, window = self._g, self._window
        after = g.op("Add", self._missing, g.ints(window // 2))
        x = self._padded(_heads(g, x, self._heads), window // 2, after)
        x = g.op("Transpose", x, perm=[0, 1, 3, 2])  # (rows, heads, (blocks + 1) * window, d)
        early = g.op("Slice", x, g.ints(0), g.ints(-window), g.ints(2))
        late = g.op("Slice", x, g.ints(window), g.ints(_EVERYTHING), g.ints(2))
        tiles = [g.op("Reshape", part, self._block_shape(window, part)) for part in (early, late)]
        return g.op("Concat", *tiles, axis=2)

    def joined(self, x: str) -> str:
        """(rows, heads * blocks, window, d) -> (rows, heads, frames, d)."""
        g = self._g
        depth = g.op("Shape", x, start=3, end=4)
        shape = g.op("Concat", g.ints(0, self._heads, -1), depth, axis=0)
        return g.op("Slice", g.op("Reshape", x, shape), g.ints(0), self.frames, g.ints(2))

    def _padded(self, x: str, before: int, after: str) -> str:
        pads = self._g.op("Concat", self._g.ints(before), after, axis=0)
        return self._g.op("Pad", x, pads, "", self._g.ints(3))

    def _block_shape(self, size: int, like: str) -> str:
        depth = self._g.op("Shape", like, start=3, end=4)
        return self._g.op("Concat", self._g.ints(0, -1, size), depth, axis=0)


def _heads(g: GraphBuilder, x: str, heads: int) -> str:
    """(rows, n, 1, frames) -> (rows, heads, d, frames)."""
    frames = g.op("Shape", x, start=3, end=4)
    return g.op("Reshape", x, g.op("Concat", g.ints(0, heads, -1), frames, axis=0))


def _heads_last(g: GraphBuilder, x: str, heads: int) -> str:
    """(rows, n, 1, frames) -> (rows, heads, frames, d)."""
    return g.op("Transpose", _heads(g, x, heads), perm=[0, 1, 3, 2])


def _channels_first(g: GraphBuilder, x: str, n: int) -> str:
    """(rows, heads, d, frames) -> (rows, n, 1, frames)."""
    return g.op("Reshape", x, g.ints(0, n, 1, -1))


def _rotated(g: GraphBuilder, x: str, depth: int) -> str:
    """Rotary embedding of (rows, heads, frames, d) over interleaved pairs."""
    frames = g.op("Shape", x, start=2, end=3)
    positions = g.op("Range", g.weight(np.array(0, np.int64)), g.op("Squeeze", frames), g.weight(np.array(1, np.int64)))
    angle = g.op(
        "Mul",
        g.op("Unsqueeze", g.op("Cast", positions, to=TensorProto.FLOAT), g.ints(1)),
        g.weight(frequencies(depth)),
    )  # (frames, d / 2)
    shape = g.op("Concat", g.op("Shape", x, start=0, end=1), g.op("Shape", angle), axis=0)
    cosine, sine = (g.op("Expand", g.op(kind, angle), shape) for kind in ("Cos", "Sin"))  # (rows, frames, d / 2)
    return g.op("RotaryEmbedding", x, cosine, sine, interleaved=1)
