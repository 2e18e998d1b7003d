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

    All reads are equally long, because an engine prepares itself for each length. At the ends of the song, where a
    graph sees its own padding as it would in one piece, the context that is missing is read on the other side.

    Raises:
        ValueError: if ``chunk_frames`` is not positive or ``context_frames`` is negative.
    """
    if chunk_frames < 1 or context_frames < 0:
        raise ValueError(f"no chunks of {chunk_frames} frames with {context_frames} frames of context")
    length = min(frames, chunk_frames + 2 * context_frames)
    for start in range(0, frames, chunk_frames):
        read_start = min(max(0, start - context_frames), frames - length)
        yield Chunk(read_start, read_start + length, start, min(start + chunk_frames, frames))


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
