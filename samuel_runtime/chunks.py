"""Overlapping chunks: how a song of any length goes through a convolutional codec in constant memory.

A convolutional graph has a finite receptive field. If a chunk carries that much context on both sides, the
frames inside it come out exactly as they would from the whole song in one piece, and need no cross-fade.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Chunk:
    """A span of frames to produce, inside the wider span of frames that must be read to produce it."""

    read_start: int
    """First frame to read."""
    read_stop: int
    """One past the last frame to read."""
    start: int
    """First frame to keep."""
    stop: int
    """One past the last frame to keep."""

    @property
    def kept(self) -> slice:
        """The frames to keep, counted from ``read_start``."""
        return slice(self.start - self.read_start, self.stop - self.read_start)


def chunks(frames: int, chunk_frames: int, context_frames: int) -> Iterator[Chunk]:
    """Cover ``frames`` with chunks of ``chunk_frames`` new frames, each read with ``context_frames`` around it.

    The context is cut at the ends of the song only, where a graph sees its own padding, as in one piece.

    Raises:
        ValueError: if ``chunk_frames`` is not positive or ``context_frames`` is negative.
    """
    if chunk_frames < 1 or context_frames < 0:
        raise ValueError(f"no chunks of {chunk_frames} frames with {context_frames} frames of context")
    for start in range(0, frames, chunk_frames):
        stop = min(start + chunk_frames, frames)
        yield Chunk(max(0, start - context_frames), min(frames, stop + context_frames), start, stop)


class SlidingReader:
    """Spans of a stream of blocks, samples last; reads move forwards and may overlap."""

    def __init__(self, blocks: Iterator[np.ndarray], shape: tuple[int, ...]) -> None:
        """Read ``blocks``, float32 (*shape, samples) each; nothing is taken from them before it is needed."""
        self._blocks = blocks
        self._buffer = np.zeros((*shape, 0), np.float32)
        self._start = 0  # sample of the stream at which the buffer begins

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples ``start .. stop - 1``, (*shape, samples); past the end of the stream they are silent."""
        pieces = [self._buffer[..., start - self._start :]]
        have = start + pieces[0].shape[-1]
        while have < stop:
            block = next(self._blocks, None)
            if block is None:
                block = np.zeros((*self._buffer.shape[:-1], stop - have), np.float32)
            pieces.append(block)
            have += block.shape[-1]
        self._buffer, self._start = np.concatenate(pieces, axis=-1), start
        return self._buffer[..., : stop - start]
