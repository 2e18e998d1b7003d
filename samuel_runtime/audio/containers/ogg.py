"""Ogg: streams chained one after another, and a last page that nobody marked as the last (RFC 3533)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import BinaryIO

from samuel_runtime.audio.containers.pieces import Pieces, find, read_at, size_of

_MAGIC = b"OggS"
_HEAD_BYTES = 27
_FLAGS, _CRC = 5, slice(22, 26)
_FIRST, _LAST = 2, 4  # flags of a page


@dataclass
class _Link:
    """One recording of a chain: streams that begin together."""

    start: int
    last_page: range
    beginning: bool = True
    serials: int = 1
    ended: bool = False


def recordings(file: BinaryIO) -> list[Pieces]:
    """The links of a chain, each with a marked end; nothing if the file can be read as it is."""
    size = size_of(file)
    links = _links(file, size)
    if not links:
        return []
    found: list[Pieces] = []
    for link, end in zip(links, [*(link.start for link in links[1:]), size], strict=True):
        # Where bytes follow that are no page the file was cut, which libsndfile notes in its log.
        unmarked = not link.ended and link.serials == 1 and link.last_page.stop == end
        if unmarked:
            found.append((range(link.start, link.last_page.start), _marked_last(file, link.last_page)))
        else:
            found.append((range(link.start, end),))
        if len(links) == 1 and not unmarked:
            return []
    return found


def _links(file: BinaryIO, size: int) -> list[_Link]:
    links: list[_Link] = []
    position = 0
    while position >= 0:
        head = read_at(file, position, _HEAD_BYTES + 255)
        if len(head) < _HEAD_BYTES:
            break
        if head[:4] != _MAGIC:
            position = find(file, _MAGIC, position + 1)
            continue
        segments = head[26]
        end = position + _HEAD_BYTES + segments + sum(head[_HEAD_BYTES : _HEAD_BYTES + segments])
        if end > size:
            break
        page, begins = range(position, end), bool(head[_FLAGS] & _FIRST)
        if begins and links and links[-1].beginning:
            links[-1].serials += 1
        elif begins or not links:
            links.append(_Link(position, page))
        link = links[-1]
        link.last_page, link.beginning, link.ended = page, begins, bool(head[_FLAGS] & _LAST)
        position = end
    return links


def _marked_last(file: BinaryIO, place: range) -> bytes:
    page = bytearray(read_at(file, place.start, len(place)))
    page[_FLAGS] |= _LAST
    page[_CRC] = bytes(4)
    page[_CRC] = checksum(page).to_bytes(4, "little")
    return bytes(page)


def checksum(page: bytes | bytearray) -> int:
    """CRC-32 of a page whose own four bytes for it are 0."""
    table, crc = _table(), 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ table[crc >> 24 ^ byte]
    return crc


@cache
def _table() -> list[int]:
    table = []
    for value in range(256):
        crc = value << 24
        for _ in range(8):
            crc = crc << 1 ^ (0x104C11DB7 if crc & 0x80000000 else 0)
        table.append(crc)
    return table
