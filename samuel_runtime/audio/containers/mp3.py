"""MP3: frames counted, because a file without a count in its first frame leaves its length to a guess.

The count stands in a frame of its own, called Xing, Info or VBRI, in front of those that sound; encoders write it,
files cut out of streams lack it, and in joined files it counts the first of them only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from samuel_runtime.audio.containers.pieces import Pieces, read_at, size_of
from samuel_runtime.errors import UserError

_HEAD_BYTES = 64  # of a frame: enough to see a count in it
_MOST_JUNK_BYTES = 4096  # after the last frame: a frame that was cut off, or padding
_SEARCH_BYTES = 1 << 16
_MPEG1 = 3
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_KBITS = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_KBITS[0] = _KBITS[2]
_SYNC = re.compile(rb"\xff(?=[\xe2-\xff])...", re.DOTALL)


@dataclass
class _Track:
    """Frames that belong together, and what their first one says of them."""

    first: bytes
    """Head of the first frame."""
    promised: int | None
    """Frames that sound, as the first frame has it."""
    count_frame: range | None
    """Where the frame with the count is."""
    frames: int = 0
    """Frames that sound, counted."""
    ranges: list[range] = field(default_factory=list)
    """Where they are."""
    damage_s: float | None = None
    """Where the first bytes are skipped that are neither frames nor tags."""

    @property
    def counted(self) -> bool:
        """Whether the first frame promises all that is there; encoders differ in counting that frame itself."""
        return self.promised is not None and self.promised + 1 >= self.frames

    @property
    def seconds(self) -> float:
        """Length of what was counted."""
        version = self.first[1] >> 3 & 3
        return self.frames * (1152 if version == _MPEG1 else 576) / _RATES_HZ[version][self.first[2] >> 2 & 3]


def recordings(file: BinaryIO, name: str) -> list[Pieces]:
    """The joined recordings, each with its count; nothing if the file can be read as it is.

    Raises:
        UserError: without a count, parts of the recording are damaged, and would be skipped without a trace.
    """
    start = after_id3(file, 0)
    if not start and not _frame_bytes(read_at(file, 0, 4)):  # libsndfile takes it for no MP3 either
        return []
    tracks = [track for track in _tracks(file) if track.frames]
    if not tracks or (len(tracks) == 1 and tracks[0].counted):
        return []
    found: list[Pieces] = []
    for track in tracks:
        if track.damage_s is not None:
            raise UserError(
                f"{name}: damaged {track.damage_s:.1f} s after its start; copy or export it again, "
                f"or keep what is there with `ffmpeg -i {name} repaired.wav`"
            )
        kept = track.count_frame if track.counted else None
        found.append((kept or _count_frame(track.first, track.frames), *track.ranges))
    return found


def after_id3(file: BinaryIO, position: int) -> int:
    """Where an ID3v2 tag at ``position`` ends; ``position`` if there is none."""
    head = read_at(file, position, 10)
    if len(head) < 10 or head[:3] != b"ID3":
        return position
    size = sum((byte & 0x7F) << 7 * (3 - index) for index, byte in enumerate(head[6:]))
    return position + 10 + size + (10 if head[5] & 0x10 else 0)


def _tracks(file: BinaryIO) -> list[_Track]:
    tracks: list[_Track] = []
    for place, head, junk_bytes in _frames(file):
        promised = _promised(head) if head else None
        if junk_bytes and tracks and tracks[-1].damage_s is None:
            tracks[-1].damage_s = tracks[-1].seconds
        if not head:
            break
        if not tracks or promised is not None or _format(head) != _format(tracks[-1].first):
            tracks.append(_Track(head, promised, place if promised is not None else None))
        track = tracks[-1]
        if promised is not None:
            continue
        track.frames += 1
        if track.ranges and track.ranges[-1].stop == place.start:
            track.ranges[-1] = range(track.ranges[-1].start, place.stop)
        else:
            track.ranges.append(place)
    return tracks


def _frames(file: BinaryIO) -> Iterator[tuple[range, bytes, int]]:
    """Each frame's place, its head, and how many bytes before it are neither frames nor tags.

    After the last one, if more such bytes follow than a recording's end explains, their place with an empty head.
    """
    size, position, junk_bytes = size_of(file), 0, 0
    while position < size:
        head = read_at(file, position, _HEAD_BYTES)
        length = _frame_bytes(head)
        if length and position + length <= size:
            yield range(position, position + length), head, junk_bytes
            position, junk_bytes = position + length, 0
        elif (end := _after_tag(file, position, head)) > position:
            position = end
        else:
            found = _next_frame(file, position + 1, size)
            junk_bytes += found - position
            position = found
    if junk_bytes > _MOST_JUNK_BYTES:
        yield range(size - junk_bytes, size), b"", junk_bytes


def _next_frame(file: BinaryIO, start: int, size: int) -> int:
    """Where two frames follow one another again, as one alone may be chance; the file's end if they do not."""
    for chunk_start in range(start, size, _SEARCH_BYTES):
        chunk = read_at(file, chunk_start, _SEARCH_BYTES + 3)
        for match in _SYNC.finditer(chunk):
            length = _frame_bytes(match[0])
            at = chunk_start + match.start()
            if length and _frame_bytes(read_at(file, at + length, 4)):
                return at
    return size


def _after_tag(file: BinaryIO, position: int, head: bytes) -> int:
    if head[:3] == b"TAG":  # ID3v1
        return position + 128
    if head[:8] == b"APETAGEX" and len(head) >= 32:
        header = 32 if head[23] & 0x80 and head[23] & 0x20 else 0
        return position + header + int.from_bytes(head[12:16], "little")
    return after_id3(file, position)


def _frame_bytes(head: bytes) -> int:
    """Length of the layer III frame that begins so; 0 if none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return 0
    version, bitrate, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or rate == 3 or not 0 < bitrate < 15:
        return 0
    per_kbit = 144_000 if version == _MPEG1 else 72_000
    return per_kbit * _KBITS[version][bitrate] // _RATES_HZ[version][rate] + (head[2] >> 1 & 1)


def _format(head: bytes) -> tuple[int, int, bool]:
    """Version, sample rate and whether it is mono."""
    return head[1] & 0x18, head[2] & 0x0C, _is_mono(head)


def _is_mono(head: bytes) -> bool:
    return head[3] >> 6 == 3


def _side_info_bytes(head: bytes) -> int:
    if head[1] >> 3 & 3 == _MPEG1:
        return 17 if _is_mono(head) else 32
    return 9 if _is_mono(head) else 17


def _promised(head: bytes) -> int | None:
    """The count in a frame that holds one, 0 if it is left open; None for a frame that sounds."""
    xing = head[4 + _side_info_bytes(head) :]
    if xing[:4] in (b"Xing", b"Info") and len(xing) >= 12:
        return int.from_bytes(xing[8:12], "big") if xing[7] & 1 else 0
    if head[36:40] == b"VBRI":
        return 0  # which libsndfile does not read
    return None


def _count_frame(head: bytes, frames: int) -> bytes:
    """A frame like those of the recording, silent, with their count."""
    plain = bytes((0xFF, head[1] | 1, 0x90 | head[2] & 0x0C, head[3]))  # 128 or 80 kbit/s, no checksum, no padding
    body = bytes(_side_info_bytes(head)) + b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (plain + body).ljust(_frame_bytes(plain), b"\0")
