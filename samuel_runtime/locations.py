"""Files that may lie elsewhere: a path, or a URL that fsspec opens, such as s3://bucket/folder (extra `ray`).

A file is fetched before it is read, and put where it goes once it is whole: object stores take and show whole objects.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from samuel_runtime.errors import UserError
from samuel_runtime.files import explained, replacing

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Location = Path | str
"""A path, or a URL as text."""

_SCHEME_END = "://"
_FILE = "file://"


def local_path(location: Location) -> Path | None:
    """Where a location is on this machine's file systems; None if it is a URL of another place."""
    text = str(location)
    if text.startswith(_FILE):
        return Path(text.removeprefix(_FILE))
    return None if _SCHEME_END in text else Path(location)


def joined(location: Location, name: str) -> Location:
    """A file below a folder; ``name`` may hold slashes."""
    path = local_path(location)
    return f"{str(location).rstrip('/')}/{name}" if path is None else path / name


def filesystem(url: str) -> tuple[AbstractFileSystem, str]:
    """What opens a URL, and the path there.

    Raises:
        UserError: nothing here opens such URLs.
    """
    try:
        import fsspec

        fs, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UserError(
            f"{url}: nothing here opens it ({error}); `pip install 'samuel-deploy[ray]'`, and fsspec's driver for it"
        ) from error
    return fs, path


@contextmanager
def fetched(location: Location) -> Iterator[Path]:
    """Yield a file to read: the very one, or a copy that is gone afterwards.

    Raises:
        FileNotFoundError: there is none.
    """
    path = local_path(location)
    if path is not None:
        yield path
        return
    fs, there = filesystem(str(location))
    with tempfile.TemporaryDirectory(prefix="samuel-") as folder:
        copy = Path(folder) / PurePosixPath(there).name
        fs.get_file(there, str(copy))
        yield copy


@contextmanager
def stored(location: Location) -> Iterator[Path]:
    """Yield the name of an empty file, with the location's suffix; on success it is put there, whole.

    Raises:
        UserError: a path cannot be written to.
        OSError: a URL cannot.
    """
    path = local_path(location)
    if path is not None:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            yield temporary
        return
    fs, there = filesystem(str(location))
    with tempfile.TemporaryDirectory(prefix="samuel-") as folder:
        temporary = Path(folder) / PurePosixPath(there).name
        temporary.touch()
        yield temporary
        put_file(fs, temporary, there)


@contextmanager
def stored_folder(location: Location) -> Iterator[Path]:
    """Yield a folder to write into: the very one, or one whose files are put below a URL on success, one by one.

    Raises:
        OSError: they cannot be put there.
    """
    path = local_path(location)
    if path is not None:
        yield path
        return
    fs, there = filesystem(str(location))
    with tempfile.TemporaryDirectory(prefix="samuel-") as name:
        folder = Path(name)
        yield folder
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                put_file(fs, file, f"{there.rstrip('/')}/{file.relative_to(folder).as_posix()}")


def put_file(fs: AbstractFileSystem, file: Path, there: str) -> None:
    """Copy a file of this machine to a path of a file system, whose folders are made where it knows such things.

    Raises:
        OSError: it cannot be written.
    """
    fs.makedirs(fs._parent(there), exist_ok=True)
    fs.put_file(str(file), there)
