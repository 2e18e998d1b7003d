"""Recordings that cannot be used: each function writes one into a folder and returns its path."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from tests.support.runtime.commands import RATE_HZ, singing, write_voice


def _missing(folder: Path) -> Path:
    return folder / "nowhere.wav"


def _long_name(folder: Path) -> Path:
    return folder / ("v" * 300 + ".wav")


def _no_text(folder: Path) -> Path:
    return write_voice(folder / "plain.wav").rename(folder / os.fsdecode(b"plain\xff.wav"))


def _directory(folder: Path) -> Path:
    (folder / "takes.wav").mkdir()
    return folder / "takes.wav"


def _empty(folder: Path) -> Path:
    (folder / "empty.wav").touch()
    return folder / "empty.wav"


def _text(folder: Path) -> Path:
    (folder / "text.wav").write_text("not a recording at all\n" * 100)
    return folder / "text.wav"


def _headerless(folder: Path) -> Path:
    (folder / "v.raw").write_bytes(bytes(2000))
    return folder / "v.raw"


def _cut(suffix: str, share: float) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = write_voice(folder / f"cut{suffix}", duration_s=4.0)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        return path

    return write


def wav_header(sample_rate_hz: int = RATE_HZ, channels: int = 1, data_bytes: int = 0, form: int = 1) -> bytes:
    """The 44 bytes before the samples of a 16-bit PCM (form 1) WAV file."""
    frame = 2 * channels
    return (
        struct.pack("<4sI4s4sI", b"RIFF", min(36 + data_bytes, 0xFFFFFFFF), b"WAVE", b"fmt ", 16)
        + struct.pack("<HHIIHH", form, channels, sample_rate_hz, sample_rate_hz * frame & 0xFFFFFFFF, frame, 16)
        + struct.pack("<4sI", b"data", data_bytes)
    )


def _promising(promised_bytes: int) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "promising.wav"
        path.write_bytes(wav_header(data_bytes=promised_bytes) + bytes(2000))
        return path

    return write


def _header_only(folder: Path) -> Path:
    path = folder / "hollow.wav"
    path.write_bytes(wav_header())
    return path


def _of_format(sample_rate_hz: int = RATE_HZ, channels: int = 1) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"{sample_rate_hz}hz-{channels}ch.wav"
        path.write_bytes(wav_header(sample_rate_hz, channels, 200 * channels) + bytes(200 * channels))
        return path

    return write


def _holding(value: float) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        samples = singing(3.0)
        samples[-5] = np.float32(value)  # far from the start: only a whole read finds it
        path = folder / "broken.wav"
        soundfile.write(path, samples, RATE_HZ, "FLOAT")
        return path

    return write


BAD_AUDIO: dict[str, Callable[[Path], Path]] = {
    "missing file": _missing,
    "name too long": _long_name,
    "name that is no text": _no_text,
    "folder": _directory,
    "empty file": _empty,
    "text called wav": _text,
    "samples without a header": _headerless,
    **{f"{suffix} cut at {share:.0%}": _cut(suffix, share)
       for suffix in (".wav", ".flac", ".mp3", ".ogg", ".aiff") for share in (0.001, 0.5, 0.9)},
    "header promises a little more": _promising(2400),
    "header promises gigabytes": _promising(0xFFFFFFF0),
    "zero samples": _header_only,
    "NaN": _holding(np.nan),
    "infinity": _holding(-np.inf),
    "1 Hz": _of_format(sample_rate_hz=1),
    "1 MHz": _of_format(sample_rate_hz=1_000_000),
    "64 channels": _of_format(channels=64),
}  # fmt: skip
