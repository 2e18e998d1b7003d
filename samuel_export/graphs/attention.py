"""Soft alignment attention as graph nodes: a fused global attention and a banded local one.

Attention works on tokens, (rows, frames, n), where blocks of frames are a reshape and heads lie side by side; the
rest of the network on (rows, n, 1, frames), because ONNX Runtime's 2-D convolutions are its fast ones. Between the
two stands one transposition each way, which ONNX Runtime merges into its own change of layout. ``rows`` counts
guidance branches times batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from samuel_export.graphs.builder import GraphBuilder
from samuel_export.graphs.rewrites import Linear, frequencies
from samuel_train.model.config import Alignment, ModelConfig

_EVERYTHING = np.iinfo(np.int64).max  # slice ends: to the end of the axis


@dataclass(frozen=True)
class Memory:
    """Keys and values of one alignment, ready to be attended to."""

    global_keys: str
    """(rows, frames, n), rotated."""
    global_values: str
    """(rows, frames, n)"""
    local_keys: str
    """(rows * blocks, 2 window, n)"""
    local_values: str
    """(rows * blocks, 2 window, n)"""


class Frames:
    """What attention needs to know of the frames of a context: their number, their blocks, their rotation."""

    def __init__(self, g: GraphBuilder, like: str, width: int, config: ModelConfig) -> None:
        """Read the number of frames off ``like``, (rows, n, 1, frames); ``width`` is n."""
        self._g, self.width, self.config = g, width, config
        self.count = g.op("Shape", like, start=3, end=4)  # (1,)
        size = g.ints(config.window)
        self._missing = g.op("Mod", g.op("Sub", size, g.op("Mod", self.count, size)), size)  # to the next full block
        self._angles = self._rotation_angles()

    def rotated(self, tokens: str) -> str:
        """Rotary embedding over interleaved pairs of every head: (rows, frames, n) -> the same."""
        g = self._g
        shape = g.op("Concat", g.op("Shape", tokens, start=0, end=1), g.op("Shape", self._angles), axis=0)
        waves = (g.op("Expand", g.op(kind, self._angles), shape) for kind in ("Cos", "Sin"))  # (rows, frames, d / 2)
        return g.op("RotaryEmbedding", tokens, *waves, interleaved=1, num_heads=self.config.heads)

    def blocks(self, tokens: str) -> str:
        """(rows, frames, n) -> (rows * blocks, window, n)."""
        return self._tiles(self._padded(tokens, 0, self._missing))

    def two_windows(self, tokens: str) -> str:
        """(rows, frames, n) -> (rows * blocks, 2 window, n), beginning half a window before each block."""
        g, window = self._g, self.config.window
        padded = self._padded(tokens, window // 2, g.op("Add", self._missing, g.ints(window // 2)))
        early = g.op("Slice", padded, g.ints(0), g.ints(-window), g.ints(1))
        late = g.op("Slice", padded, g.ints(window), g.ints(_EVERYTHING), g.ints(1))
        return g.op("Concat", self._tiles(early), self._tiles(late), axis=1)

    def joined(self, blocks: str) -> str:
        """(rows * blocks, window, n) -> (rows, frames, n)."""
        g = self._g
        whole = g.op("Add", self.count, self._missing)
        shape = g.op("Concat", g.ints(-1), whole, g.ints(self.width), axis=0)
        return g.op("Slice", g.op("Reshape", blocks, shape), g.ints(0), self.count, g.ints(1))

    def _tiles(self, tokens: str) -> str:
        return self._g.op("Reshape", tokens, self._g.ints(-1, self.config.window, self.width))

    def _padded(self, tokens: str, before: int, after: str) -> str:
        pads = self._g.op("Concat", self._g.ints(before), after, axis=0)
        return self._g.op("Pad", tokens, pads, "", self._g.ints(1))

    def _rotation_angles(self) -> str:
        """(frames, d / 2)"""
        g = self._g
        zero, one = (g.weight(np.array(value, np.int64)) for value in (0, 1))
        positions = g.op("Cast", g.op("Range", zero, g.op("Squeeze", self.count), one), to=TensorProto.FLOAT)
        depth = self.width // self.config.heads
        return g.op("Mul", g.op("Unsqueeze", positions, g.ints(1)), g.weight(frequencies(depth)))


def conv1x1(g: GraphBuilder, x: str, weights: Linear) -> str:
    """(rows, in, 1, frames) -> (rows, out, 1, frames)."""
    return g.op("Conv", x, g.weight(weights.weight[:, :, None, None]), g.weight(weights.bias))


def write_memory(g: GraphBuilder, context: str, keys_values: Linear, frames: Frames) -> Memory:
    """Project a context (rows, n, 1, frames) to keys and values."""
    global_keys, global_values, local_keys, local_values = _tokens(g, context, keys_values, 4, frames.width)
    return Memory(
        frames.rotated(global_keys), global_values, frames.two_windows(local_keys), frames.two_windows(local_values)
    )


def write_local_memory(g: GraphBuilder, context: str, keys_values: Linear, frames: Frames) -> tuple[str, str]:
    """The local half of :func:`write_memory`: keys and values, (rows * blocks, 2 window, n) each."""
    half = 2 * frames.width
    local = Linear(keys_values.weight[half:], keys_values.bias[half:])
    keys, values = _tokens(g, context, local, 2, frames.width)
    return frames.two_windows(keys), frames.two_windows(values)


def write_queries(g: GraphBuilder, x: str, queries: Linear, frames: Frames) -> tuple[str, str]:
    """Project x (rows, n, 1, frames) to global queries (rows, frames, n), rotated, and local ones in blocks."""
    wide, near = _tokens(g, x, queries, 2, frames.width)
    return frames.rotated(wide), frames.blocks(near)


def global_attention(g: GraphBuilder, queries: str, memory: Memory, frames: Frames) -> str:
    """softmax(q k^T / sqrt d) v over all frames: (rows, frames, n)."""
    return _attention(g, frames, queries, memory.global_keys, memory.global_values)


def local_attention(g: GraphBuilder, queries: str, memory: Memory, frames: Frames) -> str:
    """The same over one window of keys around each frame; queries in blocks: (rows, frames, n)."""
    config = frames.config
    band = g.weight(band_mask(config.window))
    blocks = _attention(g, frames, queries, memory.local_keys, memory.local_values, band)
    near = frames.joined(blocks)
    if config.alignment is Alignment.DOCUMENTED:
        return near
    # The published code reads (heads, frames, d) in memory as (heads, d, frames).
    heads = g.op("Reshape", near, g.ints(0, 0, config.heads, -1))  # (rows, frames, heads, d)
    reread = g.op("Reshape", g.op("Transpose", heads, perm=[0, 2, 1, 3]), g.ints(0, frames.width, -1))
    return g.op("Transpose", reread, perm=[0, 2, 1])


def band_mask(window: int) -> np.ndarray:
    """(window, 2 window): 0 where query i may see key j, i <= j < i + window, else a number that softmax sends to 0."""
    i, j = np.arange(window)[:, None], np.arange(2 * window)[None, :]
    return np.where((i <= j) & (j < i + window), 0.0, np.finfo(np.float32).min / 2)


def write_mixed(g: GraphBuilder, near: str, wide: str, weights: str, output: np.ndarray, bias: str) -> str:
    """Both results through their output projections as one product: (rows, n, 1, frames).

    Args:
        g: where to write.
        near: local result, (rows, frames, n).
        wide: global result, (rows, frames, n).
        weights: their weights, (rows, 2 n).
        output: both projections side by side, (n, 2 n).
        bias: their biases, weighted, (rows, n).
    """
    both = g.op("Mul", g.op("Concat", near, wide, axis=2), g.op("Unsqueeze", weights, g.ints(1)))
    image = g.op("Transpose", g.op("Unsqueeze", both, g.ints(1)), perm=[0, 3, 1, 2])  # (rows, 2 n, 1, frames)
    projected = g.op("Conv", image, g.weight(output[:, :, None, None]))
    return g.op("Add", projected, g.op("Unsqueeze", bias, g.ints(2, 3)))


def _tokens(g: GraphBuilder, x: str, weights: Linear, parts: int, width: int) -> list[str]:
    """Project (rows, n, 1, frames) to several (rows, frames, n)."""
    tokens = g.op("Transpose", conv1x1(g, x, weights), perm=[0, 2, 3, 1])  # (rows, 1, frames, parts * n)
    tokens = g.op("Reshape", tokens, g.ints(0, -1, parts * width))
    return g.split_op("Split", parts, tokens, axis=2, num_outputs=parts)


def _attention(g: GraphBuilder, frames: Frames, queries: str, *memory: str) -> str:
    heads = frames.config.heads
    scale = float((frames.width // heads) ** -0.5)
    return g.op("Attention", queries, *memory, scale=scale, q_num_heads=heads, kv_num_heads=heads)
