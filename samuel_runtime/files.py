"""Outputs that exist whole or not at all: written in a scratch folder beside them, then renamed. The user's folders."""

from __future__ import annotations

import errno
import os
import platform
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from samuel_runtime.errors import UnwritableError, UserError

try:
    from fcntl import LOCK_EX, LOCK_NB, flock
except ImportError:  # Windows: what a killed run leaves stays there
    flock = None  # type: ignore[assignment]

_SCRATCH_PREFIX = ".samuel-"
_SCRATCH_NAME = re.compile(re.escape(_SCRATCH_PREFIX) + r"[a-z0-9_]{8}")
_LOCK_NAME = "lock"
_SWAP_S = 0.2  # thousands of times what two renames take


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the name of an empty file; on success it replaces ``path``, on any failure it is gone.

    It has the suffix of ``path``, because audio libraries choose the format by it, and lies in a scratch folder beside
    it, so that it can be renamed and its name is never too long. Where ``path`` is a link, what it points to is
    replaced; a file that was there hands on its permissions.

    Raises:
        UserError: if the folder cannot be written to or the disk is full.
    """
    path = Path(path)
    with explained(path):
        target = path.resolve() if path.is_symlink() else path
        with scratch_folder(target.parent) as scratch:
            temporary = scratch / f"new{target.suffix}"
            temporary.touch()
            yield temporary
            with suppress(OSError):  # there is none, or this file system knows no permissions
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            temporary.replace(target)


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A hidden folder in ``beside`` that is removed with all in it, however the block ends.

    Should the process be killed, the next one that makes such a folder here removes it: as long as a process works in
    one it holds a lock on a file there, and a lock ends with its process.

    Raises:
        OSError: ``beside`` cannot be written to.
    """
    _remove_abandoned(beside)
    folder = Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX, dir=beside))
    lock = _locked(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


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
        # Never swept as scratch folders are: between the two renames below, the only whole folder may be this one.
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

    Whoever opens ``path`` in order to write to it again calls this before looking whether it is there; for readers
    there is :func:`readable_dir`.

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


def readable_dir(path: Path) -> Path:
    """Where to read the folder ``path``, should a killed :func:`replacing_dir` have left it moved aside.

    The folder is moved back, or read where it is if that is refused, as on a disk that is read-only. A replacement
    that goes on is waited for: between its two renames it does nothing else.
    """
    if is_folder(path):
        return path
    try:
        retired = _retired(path.resolve())
    except (OSError, RuntimeError, ValueError):  # no name that a folder can have, or links in a circle
        return path
    if not is_folder(retired):
        return path
    time.sleep(_SWAP_S)
    with suppress(OSError, UserError):
        recover_dir(path)
    return path if is_folder(path) else retired


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
        UnwritableError: in place of an OSError that is about ``path``, its temporary, their folder, or the disk.
    """
    try:
        yield
    except OSError as error:
        if not _is_about(error, Path(path)):
            raise
        raise UnwritableError(
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


def cache_file(name: str) -> Path:
    """Where a file lies in samuel's cache folder, which may not exist yet.

    Raises:
        OSError: the user has no such folder, as where neither HOME nor the list of users names one.
    """
    return _of_user(platformdirs.user_cache_dir) / name


def data_file(name: str) -> Path:
    """Where a file lies in samuel's folder for what shall stay, which may not exist yet.

    Raises:
        OSError: as :func:`cache_file`.
    """
    return _of_user(platformdirs.user_data_dir) / name


def _of_user(find: Callable[[str], str]) -> Path:
    """samuel's folder among the user's; where nothing says what "~" means, platformdirs may raise or leave it there."""
    try:
        folder = Path(find("samuel"))
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():
        raise FileNotFoundError(f"{folder}: nothing says where the user's folders are; set HOME")
    return folder


def _locked(folder: Path) -> int | None:
    """Lock a new scratch folder; None where the file system knows no locks."""
    if flock is None:
        return None
    # Under its name only once it is locked, or it would be abandoned for a moment.
    new = folder / f"{_LOCK_NAME}.new"
    lock = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        flock(lock, LOCK_EX | LOCK_NB)
        os.write(lock, platform.node().encode())
        new.rename(folder / _LOCK_NAME)
    except OSError:
        os.close(lock)
        return None
    return lock


def _remove_abandoned(beside: Path) -> None:
    """Remove scratch folders in ``beside`` whose process is gone, of this user and this machine."""
    if flock is None:
        return
    with suppress(OSError), os.scandir(beside) as entries:
        for entry in entries:
            if not _SCRATCH_NAME.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
                continue
            with suppress(OSError):
                if entry.stat(follow_symlinks=False).st_uid == os.getuid():
                    _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(folder: Path) -> None:
    lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_NOFOLLOW)
    try:
        flock(lock, LOCK_EX | LOCK_NB)  # refused as long as the process lives
        # A lock on a shared disk may hold for one machine only.
        if os.read(lock, 1 << 10) == platform.node().encode():
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
