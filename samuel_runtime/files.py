"""Outputs that exist whole or not at all: write under a temporary name, then rename."""

from __future__ import annotations

import errno
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

    No portable call exchanges two folders, so the old one is moved aside for the moment in which the new one is
    renamed. A process that is killed in that moment leaves it there, see :func:`recover_dir`, which is called first.

    Raises:
        UserError: if the parent folder cannot be written to or the disk is full.
    """
    path = Path(path)
    with explained(path):
        path = path.resolve()  # a link stays, what it leads to is replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        recover_dir(path)
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            try:
                if path.exists():
                    path.rename(_retired(path))
                temporary.rename(path)
            finally:
                recover_dir(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def recover_dir(path: Path) -> None:
    """Finish what a killed :func:`replacing_dir` left: the old folder comes back if ``path`` is missing, else it goes.

    Whoever opens ``path`` in order to write to it again calls this before looking whether it is there.

    Raises:
        UserError: if the parent folder cannot be written to.
    """
    with explained(path):
        path = Path(path).resolve()
        retired = _retired(path)
        if not is_folder(retired):
            return
        if path.exists():
            shutil.rmtree(retired, ignore_errors=True)
        else:
            retired.rename(path)


def _retired(path: Path) -> Path:
    """Where the old folder is while the new one takes its place."""
    return path.with_name(f".{path.name}-old")


_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""What a write to an open file fails with; the error names no file then."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the file system refuses while ``path`` is made into words.

    An OSError about anything else, such as a file that should have been there, is a defect and keeps its traceback.

    Raises:
        UserError: in place of an OSError that is about ``path``, its temporary, their folder, or the disk.
    """
    try:
        yield
    except OSError as error:
        if not _is_about(error, Path(path)):
            raise
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); choose a folder that exists, "
            "is writable and has space, with -o"
        ) from error


def _is_about(error: OSError, path: Path) -> bool:
    names = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if not names:
        # NumPy says "1000 requested and 0 written", without a number, when the disk is full.
        return error.errno in _DISK_ERRORS or (error.errno is None and str(error).endswith(" written"))
    for place in (path.absolute(), path.resolve()):
        for name in map(Path.absolute, names):
            if place.is_relative_to(name):  # itself or a folder that it lies in
                return True
            if name.is_relative_to(place.parent):
                first = name.relative_to(place.parent).parts[0]
                if first == place.name or first.startswith("."):  # the temporaries of this module are hidden
                    return True
    return False


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
