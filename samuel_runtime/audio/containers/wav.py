"""WAV and RF64 that a recorder began and never closed: the size of the samples is still 0."""

from __future__ import annotations

from typing import BinaryIO

from samuel_runtime.audio.containers.pieces import Pieces, read_at, size_of

PLACEHOLDERS = frozenset({0xFFFFFFFF, 0xFFFFFFFF - 36, 0xFFFFFFFF - 44, 0x80000000, 0x7FFFFFFF, 0x7FFFF000})
"""Sizes that programs which write WAV to a pipe put in place of the one they do not know (ffmpeg, arecord, SoX)."""

_UNKNOWN_64 = (0, 0xFFFFFFFFFFFFFFFF)


def recordings(file: BinaryIO) -> list[Pieces]:
    """The recording with its size filled in; nothing if the file can be read as it is."""
    size = size_of(file)
    chunks = _chunks(file, 12, size)
    data = next((at for name, at, _ in chunks if name == b"data"), None)
    if data is None:
        return []
    samples = data + 8
    if chunks[0][0] == b"ds64" and int.from_bytes(read_at(file, 28, 8), "little") in _UNKNOWN_64:
        frame_bytes = next((_frame_bytes(file, at) for name, at, _ in chunks if name == b"fmt "), 0) or 1
        values = (size - 8, size - samples, (size - samples) // frame_bytes)  # of all, of the samples, and their count
        return [(range(20), b"".join(value.to_bytes(8, "little") for value in values), range(44, size))]
    if read_at(file, data + 4, 4) == bytes(4) and samples < size and not _are_chunks(file, samples, size):
        return [(range(data + 4), b"\xff\xff\xff\xff", range(samples, size))]
    return []


def _chunks(file: BinaryIO, position: int, size: int) -> list[tuple[bytes, int, int]]:
    """Name, position and bytes of the chunks up to that of the samples."""
    found = []
    while position + 8 <= size:
        head = read_at(file, position, 8)
        if not _is_name(head[:4]):
            break
        found.append((head[:4], position, int.from_bytes(head[4:], "little")))
        if head[:4] == b"data":
            break
        position += 8 + found[-1][2] + found[-1][2] % 2
    return found


def _is_name(letters: bytes) -> bool:
    return letters.isascii() and letters.decode().isprintable()


def _frame_bytes(file: BinaryIO, format_chunk: int) -> int:
    return int.from_bytes(read_at(file, format_chunk + 20, 2), "little")


def _are_chunks(file: BinaryIO, position: int, size: int) -> bool:
    """Whether what follows is chunks to the file's end, such as tags, and no samples."""
    while position + 8 <= size:
        head = read_at(file, position, 8)
        if not _is_name(head[:4]):
            return False
        position += 8 + int.from_bytes(head[4:], "little")
        position += position % 2
    return position in (size, size + 1)
