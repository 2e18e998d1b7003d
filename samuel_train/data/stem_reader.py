"""Random access to the stems of a song at one sample rate, for crops."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from samuel_runtime.audio.reading import AudioFile, resampled, resampled_count
from samuel_runtime.audio.samples import Audio
from samuel_runtime.errors import UserError
from samuel_train.data.stems import VOCALS, Skipped, SongFolder, find_songs, open_stems

_CHANNELS = 2
_RESAMPLER_REACH = 1024
"""Samples on either side of a crop that its resampled samples may depend on; soxr's filters are shorter."""


@dataclass(frozen=True)
class StemReader:
    """The stems of one song, read from any sample on."""

    song: SongFolder
    sample_rate_hz: int
    """Rate to which files of other rates are resampled."""
    samples: int
    """Length of the shortest stem at that rate."""
    files: tuple[AudioFile, ...]
    """Vocals, then the stems whose sum is the accompaniment."""

    @classmethod
    def open(cls, song: SongFolder, sample_rate_hz: int) -> StemReader:
        """Read every stem through once.

        Raises:
            UserError: if a file is no whole recording, holds NaN, or the lengths differ.
        """
        files = tuple(open_stems(song))
        return cls(song, sample_rate_hz, min(resampled_count(file, sample_rate_hz) for file in files), files)

    def read(self, stem: str, start: int, samples: int) -> np.ndarray:
        """(2, samples) float32 of ``vocals`` or ``accompaniment`` from sample ``start`` on."""
        vocals, *band = self.files
        read = [self._read(file, start, samples) for file in ([vocals] if stem == VOCALS else band)]
        return np.ascontiguousarray(np.sum(read, axis=0, dtype=np.float32).T)

    def _read(self, file: AudioFile, start: int, samples: int) -> np.ndarray:
        """(samples, 2)"""
        step = Fraction(file.sample_rate_hz, self.sample_rate_hz)
        reach = 0 if step == 1 else _RESAMPLER_REACH
        # Both rates have a sample at the same time at every multiple of the denominator.
        first = max(0, start - reach) // step.denominator * step.denominator
        begin, end = int(first * step), math.ceil((start + samples + reach) * step)
        read, _ = soundfile.read(file.path, end - begin, begin, dtype="float32", always_2d=True)
        blocks = resampled(Audio(read, file.sample_rate_hz), self.sample_rate_hz, _CHANNELS, with_offset=True)
        crop = np.concatenate(list(blocks))[start - first :][:samples]
        return np.pad(crop, ((0, samples - len(crop)), (0, 0)))


def open_songs(root: Path, sample_rate_hz: int, least_samples: int) -> tuple[list[StemReader], list[Skipped]]:
    """The songs below ``root`` in the order of their names, and those that are incomplete or too short.

    Raises:
        UserError: if a file is damaged or holds NaN, or no song is left.
    """
    folders, skipped = find_songs(root)
    readers = []
    for folder in tqdm(folders, desc="reading stems", unit="song", disable=None):
        reader = StemReader.open(folder, sample_rate_hz)
        if reader.samples < least_samples:
            skipped.append(Skipped(folder.name, f"shorter than {least_samples / sample_rate_hz:.1f} s"))
        else:
            readers.append(reader)
    if not readers:
        reasons = "; ".join(f"{skip.song}: {skip.reason}" for skip in skipped[:3])
        raise UserError(
            f"{root}: none of the {len(skipped)} songs can be used ({reasons}); "
            f"`samuel-train synthesize -o {root} --songs 100` makes some"
        )
    return readers, skipped
