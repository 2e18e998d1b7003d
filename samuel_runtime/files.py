"""Outputs that exist whole or not at all: write under a temporary name, then rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samuel_runtime.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file name beside ``path``; on success it replaces ``path``, on any failure it is gone.

    The temporary name keeps the suffix, because audio libraries choose the format by it.

    Raises:
        UserError: if the folder cannot be written to or the disk is full.
    """
    path = Path(path)
    with explained(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_dir(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it takes the place of ``path``, whole.

    Raises:
        UserError: if the parent folder cannot be written to or the disk is full.
    """
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if path.exists():
                retired = temporary.with_name(temporary.name + "-old")
                path.rename(retired)
                temporary.rename(path)
                shutil.rmtree(retired)
            else:
                temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the file system refuses while ``path`` is made into words.

    Raises:
        UserError: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); choose a folder that exists, "
            "is writable and has space, with -o"
        ) from error


def check_name(path: Path) -> None:
    """Refuse a file name that is not text, as no audio library opens it.

    Raises:
        UserError: it holds bytes that are no Unicode.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path}: the name is not readable text; give the file another name") from error


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder; a name that the file system refuses is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
