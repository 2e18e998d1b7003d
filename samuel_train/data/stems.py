"""Stems on disk: find the song folders of a tree and read their audio, vocals beside the summed band."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samuel_runtime.audio.reading import BLOCK_SAMPLES, AudioFile, recording_suffixes, resampled, resampled_count
from samuel_runtime.errors import UserError
from samuel_runtime.files import check_name

VOCALS = "vocals"
ACCOMPANIMENT = "accompaniment"
BAND = ("drums", "bass", "other", "guitar", "piano")
"""Stems that are summed where a song has no ready accompaniment (MUSDB and its six-stem relatives)."""

LENGTH_TOLERANCE_S = 0.1
"""Stems of one song may differ by this much; they are cut to the shortest."""


@dataclass(frozen=True)
class SongFolder:
    """The files of one song."""

    name: str
    """The folder relative to the tree's root, with forward slashes."""
    vocals: Path
    band: tuple[Path, ...]
    """Files whose sum is the accompaniment."""

    @property
    def folder(self) -> Path:
        """Where the stems lie, and ``song.json`` if there is one."""
        return self.vocals.parent

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the song, vocals first."""
        return (self.vocals, *self.band)


@dataclass(frozen=True)
class Skipped:
    """A song that was left out."""

    song: str
    reason: str


def find_songs(root: Path) -> tuple[list[SongFolder], list[Skipped]]:
    """Song folders below ``root`` in the order of their names, and the incomplete ones.

    A song folder holds ``vocals.*`` beside ``accompaniment.*``, or beside the stems of :data:`BAND`.

    Raises:
        UserError: if ``root`` is no folder, has a name that is not text, or holds no song at all.
    """
    check_name(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the folder that holds the song folders")
    suffixes = recording_suffixes()
    songs, skipped = [], []
    for folder in _folders(root):
        stems = _stems(folder, suffixes)
        if not stems:
            continue
        given = root.resolve().name if folder == root else folder.relative_to(root).as_posix()
        name = os.fsencode(given).decode("utf-8", "backslashreplace")
        band = [ACCOMPANIMENT] if ACCOMPANIMENT in stems else [stem for stem in BAND if stem in stems]
        if name != given and folder != root:
            skipped.append(Skipped(name, "the folder's name is not UTF-8; rename the folder"))
        elif VOCALS not in stems:
            skipped.append(Skipped(name, f"no {VOCALS} file beside {', '.join(sorted(stems))}"))
        elif not band:
            skipped.append(Skipped(name, f"no {ACCOMPANIMENT} file, nor any of {', '.join(BAND)}"))
        else:
            songs.append(SongFolder(name, stems[VOCALS], tuple(stems[stem] for stem in band)))
    if not songs and not skipped:
        raise UserError(
            f"{root}: no songs found; expected a folder per song with {VOCALS}.wav and {ACCOMPANIMENT}.wav "
            f"(or {', '.join(f'{stem}.wav' for stem in BAND[:3])})"
        )
    return sorted(songs, key=lambda song: song.name), sorted(skipped, key=lambda skip: skip.song)


def read_song(song: SongFolder, sample_rate_hz: int, channels: int) -> tuple[int, Iterator[np.ndarray]]:
    """Length in samples of ``sample_rate_hz``, and blocks (2, channels, block) float32 of that length in all.

    The blocks hold vocals and accompaniment. The length is that of the shortest stem.

    Raises:
        UserError: as :func:`open_stems`.
    """
    files = open_stems(song)
    samples = min(resampled_count(file, sample_rate_hz) for file in files)
    return samples, _summed(files, sample_rate_hz, channels, samples)


def open_stems(song: SongFolder) -> list[AudioFile]:
    """The song's recordings, vocals first, each read through once and found whole.

    Raises:
        UserError: if a file is no whole recording, or the lengths differ by more than the tolerance.
    """
    files = [AudioFile.open(path) for path in song.files]
    shortest, longest = min(files, key=_duration_s), max(files, key=_duration_s)
    if _duration_s(longest) - _duration_s(shortest) > LENGTH_TOLERANCE_S:
        raise UserError(
            f"{shortest.path} lasts {_duration_s(shortest):.2f} s but "
            f"{longest.path.name} {_duration_s(longest):.2f} s; export the stems at one length"
        )
    return files


def _summed(files: list[AudioFile], sample_rate_hz: int, channels: int, samples: int) -> Iterator[np.ndarray]:
    streams = [_equal_blocks(resampled(file, sample_rate_hz, channels), samples) for file in files]
    for vocals, *band in zip(*streams, strict=True):
        yield np.stack([vocals.T, np.sum(band, axis=0, dtype=np.float32).T])  # (2, channels, block)


def _equal_blocks(blocks: Iterator[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Re-cut (any, channels) to (BLOCK_SAMPLES, channels), ``samples`` in all, so that stems can be added."""
    pieces: list[np.ndarray] = []
    have = 0
    for block in blocks:
        pieces.append(block)
        have += len(block)
        while have >= (want := min(BLOCK_SAMPLES, samples)) and want:
            joined = np.concatenate(pieces)
            yield joined[:want]
            pieces, have, samples = [joined[want:]], have - want, samples - want


def _duration_s(file: AudioFile) -> float:
    return file.samples_count / file.sample_rate_hz


def _folders(root: Path) -> Iterator[Path]:
    """Every folder of the tree; links are followed, but no folder is entered twice."""
    seen = set()
    for name, children, _ in os.walk(root, followlinks=True):
        folder = Path(name)
        real = folder.resolve()
        if real in seen:
            children.clear()
            continue
        seen.add(real)
        children[:] = sorted(child for child in children if not child.startswith("."))
        yield folder


def _stems(folder: Path, suffixes: Collection[str]) -> dict[str, Path]:
    """Stem name -> file; of several formats of one stem the first by name."""
    stems: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.stem.lower()
        if name in (VOCALS, ACCOMPANIMENT, *BAND) and path.suffix.lower() in suffixes and path.is_file():
            stems.setdefault(name, path)
    return stems
