"""Write audio files: format by suffix, levels set by one gain over the whole file, whole or not at all."""

from __future__ import annotations

import errno
import shlex
import stat
from collections.abc import Callable, Collection, Iterator
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from samuel_runtime.audio.level import Level, Meter, gain_from_db
from samuel_runtime.audio.quiet import without_decoder_chatter
from samuel_runtime.audio.reading import BLOCK_SAMPLES, Recording, resampled
from samuel_runtime.errors import UnwritableError, UserError
from samuel_runtime.files import check_name, is_folder, scratch_folder

FORMATS = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".aiff": ("AIFF", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
"""Suffix to container and sample format."""

_LOSSY = frozenset({".ogg", ".mp3"})
_CEILING, _LOSSY_CEILING = 0.98, 0.85  # a lossy encoder overshoots the peaks it is given, mostly by less
_BAND_UNDER_VOICE_DB = -3.0


def check_target(path: Path, suffixes: Collection[str] = FORMATS) -> None:
    """Refuse an output that could not be written in the end, before any work is done.

    Args:
        path: of the output.
        suffixes: that it may have.

    Raises:
        UserError: unknown suffix, a folder in its place, or a folder that is missing or not writable.
    """
    check_name(path)
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{path}: cannot write {path.suffix or 'a file without suffix'}; use {', '.join(suffixes)}")
    if is_folder(path):
        raise UserError(f"{path}: is a folder; name a file in it")
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path}: is not a regular file; choose another name")
    except (FileNotFoundError, NotADirectoryError):
        pass  # it will be new
    except OSError as error:
        raise _unwritable(path, error) from error
    folder = path.resolve().parent  # through a link to the file
    if not is_folder(folder):
        raise UserError(f"{folder}: no such folder; make it with `mkdir -p {shlex.quote(str(folder))}`")
    try:
        with scratch_folder(folder):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UnwritableError:
    return UnwritableError(f"{path}: cannot be written ({error.strerror}); choose another name or folder with -o")


def check_encodable(path: Path, sample_rate_hz: int, channels: int) -> None:
    """Refuse audio that the format of ``path`` cannot hold.

    Raises:
        UserError: it takes no such rate or number of channels.
    """
    container, subtype = FORMATS[path.suffix.lower()]
    try:
        soundfile.SoundFile(BytesIO(), "w", sample_rate_hz, channels, subtype, format=container).close()
    except soundfile.LibsndfileError as error:
        raise UserError(
            f"{path}: {container} takes no audio of {sample_rate_hz} Hz in {channels} channels; use .wav"
        ) from error


class Band:
    """A generated waveform on its way to its files: kept in a scratch file, so that its length costs no memory."""

    def __init__(self, scratch: Path, sample_rate_hz: int, channels: int) -> None:
        """Begin with nothing; ``scratch`` is a file that the caller makes and removes."""
        self.sample_rate_hz, self.channels = sample_rate_hz, channels
        self._scratch, self._meter = scratch, Meter(sample_rate_hz)

    def fill(self, blocks: Iterator[np.ndarray]) -> None:
        """Store the waveform, float32 (samples, channels)."""
        with self._scratch.open("wb") as file:
            for block in blocks:
                self._meter.add(block)
                file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())

    @property
    def level(self) -> Level:
        """Peak and loudness of what was stored."""
        return self._meter.level()

    def blocks(self) -> Iterator[np.ndarray]:
        """The waveform again, float32 (samples, channels)."""
        with self._scratch.open("rb") as file:
            while len(block := self._next(file, BLOCK_SAMPLES)):
                yield block

    def mixed_with(self, voice: Recording) -> Iterator[np.ndarray]:
        """Voice and band, the band's loudness 3 dB under the voice's; peaks may exceed full scale."""
        gain = gain_under(voice.level.laid_out(self.channels), self.level)
        with self._scratch.open("rb") as file:
            for sung in resampled(voice, self.sample_rate_hz, self.channels):
                yield sung + gain * self._next(file, len(sung))

    def _next(self, file: BinaryIO, samples: int) -> np.ndarray:
        stored = np.frombuffer(file.read(4 * samples * self.channels), "<f4")
        return stored.reshape(-1, self.channels)  # (samples, channels)


def gain_under(voice: Level, band: Level) -> float:
    """What brings a band's loudness 3 dB under a voice's; 1.0 if one of them is silent."""
    if band.silent or voice.silent:
        return 1.0
    return gain_from_db(voice.rms_db + _BAND_UNDER_VOICE_DB - band.rms_db)


def safe_gain(peak: float, path: Path) -> float:
    """The gain that keeps a waveform of this peak below full scale in this file; 1.0 if it is already."""
    ceiling = _LOSSY_CEILING if path.suffix.lower() in _LOSSY else _CEILING
    return min(1.0, ceiling / peak) if peak > 0 else 1.0


def peak_of(blocks: Iterator[np.ndarray]) -> float:
    """Largest absolute sample of a waveform."""
    return max((float(np.abs(block).max()) for block in blocks if block.size), default=0.0)


def write_audio(path: Path, blocks: Callable[[], Iterator[np.ndarray]], peak: float, sample_rate_hz: int) -> float:
    """Write a waveform of a known peak to a file, turned down as a whole if it would clip there.

    Returns:
        The gain that was applied.

    Raises:
        OSError: the file cannot be written or the disk is full.
    """
    gain = safe_gain(peak, path)
    _encode(path, blocks, gain, sample_rate_hz)
    decoded_peak = _decoded_peak(path) if path.suffix.lower() in _LOSSY else 0.0
    if decoded_peak > 1:
        gain *= _LOSSY_CEILING / decoded_peak
        _encode(path, blocks, gain, sample_rate_hz)
    return gain


def _encode(path: Path, blocks: Callable[[], Iterator[np.ndarray]], gain: float, sample_rate_hz: int) -> None:
    container, subtype = FORMATS[path.suffix.lower()]
    try:
        stream = blocks()
        first, written = next(stream), 0
        with soundfile.SoundFile(path, "w", sample_rate_hz, first.shape[1], subtype, format=container) as file:
            for block in chain([first], stream):
                file.write(gain * block)
                written += len(block)
        _check_end(path, written)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".") or "its end is missing"
        raise OSError(errno.EIO, f"{reason}; is the disk full?") from error


def _decoded_peak(path: Path) -> float:
    with soundfile.SoundFile(path) as file:
        return peak_of(file.blocks(BLOCK_SAMPLES, dtype="float32"))


def _check_end(path: Path, samples: int) -> None:
    # FLAC, OGG and MP3 encoders write their last block on closing, where libsndfile drops errors.
    with without_decoder_chatter(), soundfile.SoundFile(path) as file:
        file.seek(samples - 1)
        if not len(file.read(1)):
            raise OSError(errno.EIO, "its end is missing; is the disk full?")
