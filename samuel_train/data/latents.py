"""A folder of latents: read and checked, split into training and validation, summed up in statistics.

Serves the published data set (two arrays, nothing else) and what ``samuel-train prepare`` writes (with an index
that says which entries belong to one song).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.raster import CHANNELS as SHEET_CHANNELS
from samuel_train.data.annotations import CHANNELS as MUSIC_CHANNELS

VOCALS_FILE = "latent_vocal.npy"
ACCOMPANIMENT_FILE = "latent_accomp.npy"
MUSIC_FILE = "latent_music.npy"
SHEETS_FILE = "latent_sheets.npy"
INDEX_FILE = "latents.json"

CHANNELS = 64
FRAMES = 1024

_CHUNK_ENTRIES = 64
_INDEX_BYTES_MAX = 256 << 20
_STD_MIN = 1e-5  # a channel that never moves must not be divided by zero


@dataclass(frozen=True, eq=False)
class Latents:
    """Paired latents on disk, not yet normalised."""

    folder: Path
    vocals: np.ndarray
    """(entries, 64, 1024) float32, a memory map."""
    accompaniment: np.ndarray
    """(entries, 64, 1024) float32, a memory map."""
    songs: tuple[str, ...]
    """Song of each entry; without an index every entry is a song of its own."""
    valid_frames: np.ndarray
    """(entries,) int64, frames before the silence that fills an entry."""
    codec: str
    """Where the codec that made them was found, empty if nobody wrote it down."""
    music: np.ndarray | None = None
    """(entries, 26, 1024) float16, a memory map, see annotations.py; None where it is not written for every song."""
    sheets: np.ndarray | None = None
    """(entries, 34, 1024) float16, a memory map of lead sheets as samuel_runtime/leadsheet/raster.py draws them; as
    ``music``."""

    def __len__(self) -> int:
        return len(self.vocals)


@dataclass(frozen=True, eq=False)
class Split:
    """Entries by use; no song is on both sides."""

    training: np.ndarray
    """(n,) int64, ascending."""
    validation: np.ndarray
    """(m,) int64, ascending."""


def read_latents(folder: Path) -> Latents:
    """Open the two arrays of ``folder`` and check every value once.

    Arrays may be (entries, 64, 1024) or (entries, 1024, 64); both come out as the former.

    Raises:
        UserError: naming the file that is missing, misshaped, of another type, empty, or holds NaN or infinity.
    """
    vocals = _open(folder / VOCALS_FILE)
    accompaniment = _open(folder / ACCOMPANIMENT_FILE)
    if len(vocals) != len(accompaniment):
        raise UserError(
            f"{folder}: {VOCALS_FILE} has {len(vocals)} entries but {ACCOMPANIMENT_FILE} has {len(accompaniment)}; "
            "they must be pairs, so download or prepare the folder again"
        )
    for name, array in ((VOCALS_FILE, vocals), (ACCOMPANIMENT_FILE, accompaniment)):
        for start in range(0, len(array), _CHUNK_ENTRIES):
            if not np.isfinite(array[start : start + _CHUNK_ENTRIES]).all():
                raise UserError(f"{folder / name}: holds NaN or infinity; prepare the folder again")
    songs, valid_frames, codec = _read_index(folder / INDEX_FILE, len(vocals))
    written = (
        _open_written(folder / name, (len(vocals), channels, FRAMES))
        for name, channels in ((MUSIC_FILE, MUSIC_CHANNELS), (SHEETS_FILE, SHEET_CHANNELS))
    )
    return Latents(folder, vocals, accompaniment, songs, valid_frames, codec, *written)


def split_songs(latents: Latents, validation_fraction: float, seed: int) -> Split:
    """Hold out a seeded choice of whole songs, at least one.

    Raises:
        UserError: if there are fewer than two songs.
    """
    names = sorted(set(latents.songs))
    if len(names) < 2:
        raise UserError(f"{latents.folder}: holds one song, but one is trained on and one held out; add songs")
    count = min(max(1, round(len(names) * validation_fraction)), len(names) - 1)
    order = np.random.default_rng(seed).permutation(len(names))
    held_out = {names[i] for i in order[:count]}
    validation = np.array([song in held_out for song in latents.songs])
    return Split(training=np.flatnonzero(~validation), validation=np.flatnonzero(validation))


def latent_statistics(latents: Latents, entries: np.ndarray) -> Statistics:
    """Mean and standard deviation per channel over the valid frames of ``entries``, accumulated in float64.

    The clamp range is the smallest and largest value of the normalised accompaniment.

    Raises:
        UserError: if the accompaniment is constant, so that there is nothing to learn.
    """
    vocals_mean, vocals_std, _, _ = _moments(latents.vocals, latents.valid_frames, entries)
    mean, std, low, high = _moments(latents.accompaniment, latents.valid_frames, entries)
    if not (high > low).any():
        raise UserError(f"{latents.folder / ACCOMPANIMENT_FILE}: every frame is the same; prepare the folder again")
    return Statistics(
        vocals_mean=vocals_mean.astype(np.float32),
        vocals_std=vocals_std.astype(np.float32),
        accompaniment_mean=mean.astype(np.float32),
        accompaniment_std=std.astype(np.float32),
        clamp_min=float(((low - mean) / std).min()),
        clamp_max=float(((high - mean) / std).max()),
    )


def _open(path: Path) -> np.ndarray:
    """Memory map of (entries, 64, 1024)."""
    if not path.is_file():
        raise UserError(f"{path}: not found; `samuel-train prepare STEMS -o {path.parent}` makes it")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path}: not a readable .npy array ({error}); download or prepare it again") from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: an archive of arrays, not one .npy array; prepare it again")
    if array.dtype != np.float32:
        raise UserError(f"{path}: holds {array.dtype}, expected float32; convert it with numpy's astype")
    if array.ndim == 3 and array.shape[1:] == (FRAMES, CHANNELS):
        array = array.transpose(0, 2, 1)  # (entries, 1024, 64) -> (entries, 64, 1024)
    if array.ndim != 3 or array.shape[1:] != (CHANNELS, FRAMES):
        raise UserError(
            f"{path}: shape {array.shape}, expected (songs, {CHANNELS}, {FRAMES}) or (songs, {FRAMES}, {CHANNELS})"
        )
    if not len(array):
        raise UserError(f"{path}: has no entries; prepare it again from stems that are not empty")
    return array


def _open_written(path: Path, expected: tuple[int, int, int]) -> np.ndarray | None:
    """Memory map of float16, (entries, channels, 1024) as expected, if the file is there."""
    if not path.exists():
        return None
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path}: not a readable .npy array ({error}); prepare it again") from error
    if not isinstance(array, np.ndarray) or array.shape != expected or array.dtype != np.float16:
        raise UserError(f"{path}: not float16 {expected}, so it does not fit the latents; prepare the folder again")
    return array


def _read_index(path: Path, entries: int) -> tuple[tuple[str, ...], np.ndarray, str]:
    """Song and valid frames of every entry, and the codec's location."""
    if not path.exists():
        return tuple(f"{i:06d}" for i in range(entries)), np.full(entries, FRAMES), ""
    try:
        if path.stat().st_size > _INDEX_BYTES_MAX:
            raise ValueError("too large")
        index: Any = json.loads(path.read_text(encoding="utf-8"))
        songs = tuple(str(entry["song"]) for entry in index["entries"])
        valid = np.array([int(entry["valid_frames"]) for entry in index["entries"]], np.int64)
        codec = str(index["codec"]["location"])
    except (ValueError, TypeError, KeyError, OSError, RecursionError) as error:
        raise UserError(f"{path}: not an index of latents ({error!r}); prepare the folder again") from error
    if len(songs) != entries or not ((valid > 0) & (valid <= FRAMES)).all():
        raise UserError(f"{path}: does not fit the arrays beside it; prepare the folder again")
    return songs, valid, codec


def _moments(
    array: np.ndarray, valid_frames: np.ndarray, entries: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard deviation, minimum and maximum, each (channels,) float64."""
    totals = np.zeros((2, array.shape[1]))
    # Squares are summed about a typical value, or their difference would lose digits to a large mean.
    origin = array[entries[0], :, : valid_frames[entries[0]]].mean(axis=1, dtype=np.float64)
    low, high = np.full(array.shape[1], np.inf), np.full(array.shape[1], -np.inf)
    for entry in entries:
        frames = array[entry, :, : valid_frames[entry]].astype(np.float64)  # (channels, frames)
        low, high = np.minimum(low, frames.min(axis=1)), np.maximum(high, frames.max(axis=1))
        frames -= origin[:, None]
        totals += frames.sum(axis=1), np.square(frames).sum(axis=1)
    mean, square = totals / valid_frames[entries].sum()
    std = np.sqrt(np.maximum(square - mean**2, 0.0))
    return origin + mean, np.maximum(std, _STD_MIN), low, high
