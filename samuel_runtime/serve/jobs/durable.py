"""Files and folders that survive a crash of the machine once a call returns: synced, renamed, and the folder synced.

``samuel_runtime.files`` writes whole or not at all, which a killed process asks for; a promise to a stranger ("202
Accepted") asks for more: the content must have reached the disk before its name does, and the name before the promise.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_file(path: Path, content: bytes) -> None:
    """Write a file; it replaces one of that name in one moment, and is on the disk when this returns.

    Raises:
        OSError: as writing does.
    """
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    move(temporary, path)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder whose content is on the disk already; the rename is when this returns.

    Raises:
        FileNotFoundError: there is no source, or no folder for the target.
        OSError: as renaming does.
    """
    source.replace(target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def sync_tree(folder: Path) -> None:
    """Wait until every file below a folder, and the folder's names for them, are on the disk.

    Raises:
        OSError: as syncing does.
    """
    for path in folder.iterdir():
        if path.is_dir():
            sync_tree(path)
        else:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk.

    Raises:
        OSError: as syncing does.
    """
    if os.name == "nt":  # which cannot open folders, and writes their names through
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
