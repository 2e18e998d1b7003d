"""Hand a file to libsndfile as recordings that it reads to their end, one after another.

libsndfile reads the first of several joined recordings only, believes a guess of an MP3's length, and stops early
where a recorder that streams left a length open. Such files are copied, recording by recording, with headers that say
what is there; all others are read where they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from samuel_runtime.audio.containers import au, flac, mp3, ogg, wav
from samuel_runtime.audio.containers.pieces import Pieces, read_at, write_pieces
from samuel_runtime.errors import UserError


@contextmanager
def recordings_in(path: Path) -> Iterator[list[Path]]:
    """Files that hold the recordings of ``path`` in their order: itself, or copies for as long as the context lasts.

    Raises:
        OSError: ``path`` cannot be read.
        UserError: it is damaged so that parts of it would be skipped without a trace, or the copies cannot be written.
    """
    with path.open("rb") as source:
        recordings = _recordings(source, str(path))
    if not recordings:
        yield [path]
        return
    with tempfile.TemporaryDirectory(prefix="samuel-") as folder:
        yield _copied(path, recordings, Path(folder))


def _copied(path: Path, recordings: list[Pieces], folder: Path) -> list[Path]:
    copies = [folder / str(index) for index in range(len(recordings))]
    try:
        with path.open("rb") as source:
            for copy, pieces in zip(copies, recordings, strict=True):
                with copy.open("wb") as target:
                    write_pieces(source, pieces, target)
    except OSError as error:
        raise UserError(
            f"{path}: is read by way of a copy, which failed in {folder.parent} ({error.strerror}); make room there, "
            "or set TMPDIR to another folder"
        ) from error
    return copies


def _recordings(file: BinaryIO, name: str) -> list[Pieces]:
    start = mp3.after_id3(file, 0)
    magic = read_at(file, start, 4)
    if magic == b"fLaC":
        return flac.recordings(file, start, name)
    if magic == b"OggS":
        return ogg.recordings(file)
    if magic in (b"RIFF", b"RF64"):
        return wav.recordings(file)
    if magic == b".snd":
        return au.recordings(file)
    return mp3.recordings(file, name)
