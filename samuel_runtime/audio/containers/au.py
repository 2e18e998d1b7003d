"""AU: files joined end to end, of which each but the last knows its size."""

from __future__ import annotations

from typing import BinaryIO

from samuel_runtime.audio.containers.pieces import Pieces, read_at, size_of

_MAGIC = b".snd"
_UNKNOWN = 0xFFFFFFFF


def recordings(file: BinaryIO) -> list[Pieces]:
    """The joined recordings; nothing if there is one."""
    starts, size = [0], size_of(file)
    while (end := _end(file, starts[-1], size)) < size and read_at(file, end, 4) == _MAGIC:
        starts.append(end)
    if len(starts) == 1:
        return []
    return [(range(start, end),) for start, end in zip(starts, [*starts[1:], size], strict=True)]


def _end(file: BinaryIO, start: int, size: int) -> int:
    head = read_at(file, start, 12)
    offset, samples = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
    return size if samples == _UNKNOWN or not offset else start + offset + samples
