"""FLAC: files joined end to end, and streams whose header leaves their length open (RFC 9639)."""

from __future__ import annotations

from typing import BinaryIO

from samuel_runtime.audio.containers.pieces import Pieces, find, read_at, size_of
from samuel_runtime.errors import UserError

_MARK = b"fLaC"
_STREAM_INFO = (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22")  # the first block's head, or that of the only one
_LARGEST_FRAME = 1 << 20  # more than an encoder makes of its 4096 samples in 8 channels
_BLOCK_SIZES = {1: 192, **{n: 576 << n - 2 for n in range(2, 6)}, **{n: 256 << n - 8 for n in range(8, 16)}}


def recordings(file: BinaryIO, start: int, name: str) -> list[Pieces]:
    """The joined recordings, each with its length in its header; nothing if the file can be read as it is.

    Raises:
        UserError: a stream of open length breaks off inside a frame.
    """
    starts, position = [start], start
    while (position := find(file, _MARK, position + 1)) >= 0:
        if read_at(file, position + 4, 4) in _STREAM_INFO:
            starts.append(position)
    found: list[Pieces] = []
    for begin, end in zip(starts, [*starts[1:], size_of(file)], strict=True):
        info = read_at(file, begin + 8, 34)
        if len(info) < 34 or _total(info):
            found.append((range(begin, end),))
        elif total := _samples(file, begin + 42, end, info):
            found.append(_with_total(begin, end, info, total))
        else:
            raise UserError(
                f"{name}: the file breaks off inside a frame; record or copy it again, "
                f"or keep what is there with `ffmpeg -i {name} repaired.wav`"
            )
    as_it_is = len(found) == 1 and len(found[0]) == 1
    return [] if as_it_is else found


def _total(info: bytes) -> int:
    return int.from_bytes(info[13:18], "big") & 0xFFFFFFFFF  # 36 bits


def _with_total(begin: int, end: int, info: bytes, total: int) -> Pieces:
    packed = int.from_bytes(info[13:18], "big") | total
    return range(begin, begin + 21), packed.to_bytes(5, "big"), range(begin + 26, end)


def _samples(file: BinaryIO, start: int, end: int, info: bytes) -> int:
    """Where the last frame ends, in samples; 0 if the last frame is not whole."""
    begin = max(start, end - _LARGEST_FRAME)
    tail = read_at(file, begin, end - begin)
    at, tries = len(tail), 4  # what looks like a header by chance, which is rare, before the true one
    while tries and (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if last := _frame_end(tail[at : at + 16], int.from_bytes(info[:2], "big")):
            if _crc(tail[at:], 16, 0x8005) == 0:  # the frame's own checksum follows it
                return last
            tries -= 1
    return 0


def _frame_end(head: bytes, block_samples: int) -> int:
    """Samples up to the end of the frame with this header; 0 if it is none.

    Args:
        head: at least the header.
        block_samples: of the stream, by which frames of a fixed size are numbered.
    """
    if len(head) < 16 or head[1] & 0xFE != 0xF8:
        return 0
    ones = 8 - (head[4] ^ 0xFF).bit_length()  # as in UTF-8: how many bytes the number takes
    if ones in (1, 8):
        return 0
    number, position = head[4] & (0x7F >> ones), 5
    for byte in head[5 : 4 + ones]:
        number, position = number << 6 | byte & 0x3F, position + 1
    code = head[2] >> 4
    wide = {6: 1, 7: 2}.get(code, 0)
    samples = 1 + int.from_bytes(head[position : position + wide], "big") if wide else _BLOCK_SIZES.get(code, 0)
    position += wide + {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if not samples or _crc(head[: position + 1], 8, 0x07):
        return 0
    return (number if head[1] & 1 else number * block_samples) + samples


def _crc(content: bytes, bits: int, polynomial: int) -> int:
    top, crc = 1 << bits - 1, 0
    for byte in content:
        crc ^= byte << bits - 8
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc & top else 0)
        crc &= (1 << bits) - 1
    return crc
