"""The files of scores in a folder or an archive, which may be compressed and come from strangers."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from samuel_runtime.errors import UserError

SUFFIXES = (".mxl", ".musicxml", ".xml")
_MOST_BYTES = 16 << 20  # of a score, unpacked
_MOST_SCORES = 100_000


def score_files(root: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name of every score of a folder or zip archive, in order, and what reads its XML.

    Raises:
        UserError: it is no folder and no archive, or holds too many files; in a reader, that file is damaged or too
            large.
    """
    if root.is_dir():
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                yield path.relative_to(root).as_posix(), partial(_read_file, path)
        return
    try:
        archive = zipfile.ZipFile(root)
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{root}: is no folder and no zip archive ({error}); give one of MusicXML scores") from error
    with archive:
        if len(archive.infolist()) > _MOST_SCORES:
            raise UserError(f"{root}: holds more than {_MOST_SCORES} files; split it")
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            if Path(info.filename).suffix.lower() in SUFFIXES:
                yield info.filename, partial(_read_member, archive, info)


def _read_file(path: Path) -> bytes:
    if path.stat().st_size > _MOST_BYTES:
        raise UserError(f"larger than {_MOST_BYTES >> 20} MB")
    return _unpacked(path.read_bytes())


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    return _unpacked(_member(archive, info))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with archive.open(info) as file:
        content = file.read(_MOST_BYTES + 1)  # whatever the archive says of its size
    if len(content) > _MOST_BYTES:
        raise UserError(f"larger than {_MOST_BYTES >> 20} MB")
    return content


def _unpacked(content: bytes) -> bytes:
    """The XML of a score; a compressed one is an archive with the score beside what describes it."""
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                if Path(info.filename).suffix.lower() in (".xml", ".musicxml") and "META-INF" not in info.filename:
                    return _member(archive, info)
    except zipfile.BadZipFile as error:
        raise UserError(f"is a damaged archive ({error})") from error
    raise UserError("is an archive without a score")
