"""Recordings: read in blocks, checked, resampled (soxr) and laid out for the codec, in constant memory."""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
import soxr

from samuel_runtime.audio.channels import middle
from samuel_runtime.audio.containers import recordings_in
from samuel_runtime.audio.containers.wav import PLACEHOLDERS
from samuel_runtime.audio.level import Level, Meter, gain_from_db
from samuel_runtime.audio.quiet import without_decoder_chatter
from samuel_runtime.errors import UserError
from samuel_runtime.files import check_name

BLOCK_SAMPLES = 1 << 16
_RATES_HZ = range(4_000, 384_001)
MOST_CHANNELS = 32
_LEAST_OFFSET = 0.03  # of the RMS: 30 dB below it; with less, as any short noise has, recordings stay bit for bit
_MP3_SLACK_S = 0.1  # of MP3: encoders differ in what they count as their own padding

# What libsndfile notes in its log when a header and the file's end disagree; it reads on in silence.
_CHUNK_SIZES = re.compile(r"(\w+)\s*:\s*(\d+) \(should be (\d+)\)")
_OTHER_SIGNS = ("does not match value from 'ds64'", "lacks an end-of-stream bit")


class Recording(Protocol):
    """Anything that can be read in blocks, more than once."""

    @property
    def sample_rate_hz(self) -> int:
        """Samples per second and channel."""

    @property
    def samples_count(self) -> int:
        """Samples per channel."""

    @property
    def level(self) -> Level:
        """Peak and loudness of the whole."""

    def blocks(self) -> Iterator[np.ndarray]:
        """The recording from its start, as float32 (samples, channels)."""


@dataclass(frozen=True)
class AudioFile:
    """A recording on disk, known to be whole: it was read through once."""

    path: Path
    """The file."""
    sample_rate_hz: int
    """Samples per second and channel."""
    channels: int
    """Channels in the file."""
    samples_count: int
    """Samples per channel, counted."""
    level: Level
    """Peak and loudness of the whole."""

    @classmethod
    def open(cls, path: Path | str, longest_s: float | None = None) -> AudioFile:
        """Read the file through once: format, length, level, and that nothing is missing or broken.

        Args:
            path: of the file.
            longest_s: duration above which it is refused, by its header or once so much was read; None reads any.

        Raises:
            UserError: missing, a folder, empty, not audio, truncated, NaN or Inf, too long, or of a format out of
                bounds.
        """
        path = Path(path)
        _check_exists(path)
        with _decoding(path), recordings_in(path) as recordings:
            promises = [_promised(path, recording) for recording in recordings]
            _check_joined(path, promises)
            first = promises[0]
            _check_duration(path, sum(promise.frames for promise in promises), first.samplerate, longest_s)
            meter, count, promised = Meter(first.samplerate), 0, 0
            for recording, promise in zip(recordings, promises, strict=True):
                promised += promise.frames
                for block in _recording_blocks(path, recording):
                    meter.add(block)
                    count += len(block)
                    _check_duration(path, count, first.samplerate, longest_s)
                slack = _MP3_SLACK_S * first.samplerate if promise.format == "MP3" else 0
                if count == 0 or count + slack < promised:
                    raise _ends_early(path, promised / first.samplerate, count / first.samplerate)
        return cls(path, first.samplerate, first.channels, count, meter.level())

    def blocks(self) -> Iterator[np.ndarray]:
        """The file from its start, float32 (samples, channels)."""
        return _file_blocks(self.path)


def recording_suffixes() -> frozenset[str]:
    """Suffixes that names of recordings have, in lower case."""
    known = {f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".oga", ".opus"}
    return frozenset(known - {".raw"})  # samples without a word on their rate and channels


def resampled_count(recording: Recording, sample_rate_hz: int) -> int:
    """Samples that :func:`resampled` yields: the recording's duration, rounded up to a whole sample."""
    return -(-recording.samples_count * sample_rate_hz // recording.sample_rate_hz)


def resampled(
    recording: Recording, sample_rate_hz: int, channels: int, *, with_offset: bool = False
) -> Iterator[np.ndarray]:
    """The recording at another rate and channel count, float32 (samples, channels), in blocks.

    Mono is laid on every channel; more channels than asked for become their mean. The blocks add up to
    exactly :func:`resampled_count` samples. A constant offset of the recording is taken out,
    but for ``with_offset``: what is only a part of a recording has a mean by chance.
    """
    missing = resampled_count(recording, sample_rate_hz)
    blocks = (_laid_out(block, channels) for block in (recording.blocks() if with_offset else _centred(recording)))
    for block in _converted(blocks, recording, sample_rate_hz, channels):
        block = block[:missing]
        missing -= len(block)
        yield block
    if missing:
        yield np.zeros((missing, channels), np.float32)


def _centred(recording: Recording) -> Iterator[np.ndarray]:
    level = recording.level
    offsets = np.array(level.offsets, np.float32)
    if np.abs(offsets).max() <= _LEAST_OFFSET * gain_from_db(level.rms_db):
        yield from recording.blocks()
        return
    for block in recording.blocks():
        yield block - offsets


def _converted(
    blocks: Iterator[np.ndarray], recording: Recording, sample_rate_hz: int, channels: int
) -> Iterator[np.ndarray]:
    if recording.sample_rate_hz == sample_rate_hz:
        yield from blocks
        return
    stream = soxr.ResampleStream(recording.sample_rate_hz, sample_rate_hz, channels, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def _laid_out(block: np.ndarray, channels: int) -> np.ndarray:
    if block.shape[1] == channels:
        return block
    if block.shape[1] > channels or channels > 2:
        block = middle(block)
    return np.repeat(block, channels, axis=1)


def _file_blocks(path: Path) -> Iterator[np.ndarray]:
    with _decoding(path), recordings_in(path) as recordings:
        for recording in recordings:
            yield from _recording_blocks(path, recording)


def _recording_blocks(path: Path, recording: Path) -> Iterator[np.ndarray]:
    with without_decoder_chatter():
        file = soundfile.SoundFile(recording)
    with file:
        while True:
            with without_decoder_chatter():
                # Not SoundFile.blocks(): it trusts the header's length and fills the rest with old samples.
                block = file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)
            if not len(block):
                return
            check_finite(str(path), block)
            yield block


def _promised(path: Path, recording: Path) -> Any:
    """What soundfile tells of a recording before its samples are read."""
    with without_decoder_chatter():
        info = soundfile.info(recording, verbose=True)
    check_format(str(path), info.samplerate, info.channels, info.frames)
    _check_promises(path, info.extra_info)
    return info


def _check_joined(path: Path, infos: list[Any]) -> None:
    if len({(info.samplerate, info.channels) for info in infos}) > 1:
        found = ", then ".join(f"{info.samplerate} Hz in {info.channels} channels" for info in infos[:3])
        raise UserError(
            f"{path}: holds {len(infos)} recordings one after another, of different formats ({found}); "
            "export them as one, or as a file each"
        )


def _check_duration(path: Path, samples: int, sample_rate_hz: int, longest_s: float | None) -> None:
    if longest_s is not None and samples > longest_s * sample_rate_hz:
        raise UserError(f"{path}: lasts longer than {longest_s / 60:g} minutes; cut it into parts")


def _check_exists(path: Path) -> None:
    check_name(path)
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; check the name and the folder") from error
    if stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path}: is a folder, not a recording; name the audio files inside it")
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: is not a regular file; save the recording to disk first")
    if status.st_size == 0:
        raise UserError(f"{path}: the file is empty; record or export it again")
    if path.suffix.lower() == ".raw":
        raise UserError(
            f"{path}: a .raw file says nothing of its rate and channels; convert it with what you know of it, as in "
            f"`ffmpeg -f s16le -ar 44100 -ac 1 -i {shlex.quote(str(path))} vocals.wav`, or rename it if it has "
            "a header"
        )


def check_format(name: str, sample_rate_hz: int, channels: int, samples: int) -> None:
    """Refuse a rate, channel count or length out of bounds.

    Raises:
        UserError: with ``name`` as what is at fault.
    """
    if sample_rate_hz not in _RATES_HZ:
        raise UserError(
            f"{name}: a sample rate of {sample_rate_hz} Hz is outside {_RATES_HZ[0]} .. {_RATES_HZ[-1]} Hz; "
            "export it at 44100 Hz"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise UserError(f"{name}: {channels} channels, at most {MOST_CHANNELS} are read; export it as mono or stereo")
    if samples < 1:
        raise UserError(f"{name}: holds no samples; record or export it again")


def check_finite(name: str, block: np.ndarray) -> None:
    """Refuse NaN and infinite samples.

    Raises:
        UserError: with ``name`` as what is at fault.
    """
    if not np.isfinite(block).all():
        raise UserError(f"{name}: holds samples that are NaN or infinite; export it again as 16- or 24-bit PCM")


def _check_promises(path: Path, log: str) -> None:
    sizes = [(name, int(promised), int(there)) for name, promised, there in _CHUNK_SIZES.findall(log)]
    streamed = any(name == "data" and promised in PLACEHOLDERS for name, promised, _ in sizes)  # nobody knew the size
    short = not streamed and any(promised > there + 1 for _, promised, there in sizes)
    if short or any(sign in log for sign in _OTHER_SIGNS):
        raise UserError(
            f"{path}: the file ends before its header says; copy or export it again, "
            f"or keep what is there with `ffmpeg -i {path} repaired.wav`"
        )


def _ends_early(path: Path, promised_s: float, found_s: float) -> UserError:
    return UserError(
        f"{path}: the file ends early, {found_s:.1f} s of {promised_s:.1f} s are there; copy or export it again, "
        f"or keep what is there with `ffmpeg -i {path} repaired.wav`"
    )


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except (soundfile.LibsndfileError, OSError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
        raise UserError(
            f"{path}: cannot be read as audio ({str(reason).rstrip('.')}); WAV, FLAC, OGG, MP3 and AIFF are, "
            f"so convert it with `ffmpeg -i {shlex.quote(str(path))} vocals.wav`, or export it again if it was cut "
            "short"
        ) from error
