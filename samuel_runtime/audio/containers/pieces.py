"""Parts of a file, and bytes that stand in for others, written out as a file of their own."""

from __future__ import annotations

from typing import BinaryIO

Pieces = tuple[bytes | range, ...]
"""A recording inside a file: ranges of the file's bytes, and bytes to put in between."""

COPY_BYTES = 1 << 20


def write_pieces(source: BinaryIO, pieces: Pieces, target: BinaryIO) -> None:
    """Write a recording to a file of its own, in constant memory."""
    for piece in pieces:
        if isinstance(piece, bytes):
            target.write(piece)
            continue
        source.seek(piece.start)
        for start in range(piece.start, piece.stop, COPY_BYTES):
            target.write(source.read(min(COPY_BYTES, piece.stop - start)))


def size_of(file: BinaryIO) -> int:
    """Bytes of a file."""
    return file.seek(0, 2)


def read_at(file: BinaryIO, position: int, count: int) -> bytes:
    """The bytes at a position, fewer at the file's end."""
    file.seek(position)
    return file.read(count)


def find(file: BinaryIO, pattern: bytes, start: int) -> int:
    """Where a pattern comes next, from ``start`` on; -1 if it does not."""
    overlap = len(pattern) - 1
    while len(chunk := read_at(file, start, COPY_BYTES + overlap)) > overlap:
        if (at := chunk.find(pattern)) >= 0:
            return start + at
        start += COPY_BYTES
    return -1
