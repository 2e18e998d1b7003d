"""What a run of the tests makes once, however many processes it has; the first that asks makes it, the others wait."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from inspect import getsource
from pathlib import Path

import pytest
from filelock import FileLock

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.tuning.preference import remember


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that all processes of this run read.

    Args:
        tmp_path_factory: of the process.
        name: of the folder, unique in the run.
        make: fills the folder, which is empty; it may write its final path into files. If it fails, the next process
            begins anew.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # each process has a folder of its own in that of the run
    folder, made = root / name, root / f"{name}.made"
    with FileLock(root / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def hinted(bundle: Path) -> Path:
    """The bundle, as it is after the one hint at `--doctor`, which else the first run of it gives."""
    remember(Bundle.open(bundle).manifest, [])
    return bundle


def compiled_librosa(kept: Path) -> Path:
    """Where librosa's compiled functions are kept from run to run: they take a minute, and change with its version, and
    with what is called of it."""
    spec = find_spec("librosa")
    versions = []
    for name in ("librosa", "numba", "llvmlite", "numpy"):
        with suppress(metadata.PackageNotFoundError):
            versions.append(metadata.version(name))
    facts = [*versions, "" if spec is None else str(spec.origin), getsource(_use_librosa)]
    return kept / hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def compile_librosa(kept: Path, own: Path) -> None:
    """Have librosa's functions compiled in ``own``, this process's numba cache.

    numba may crash on a cache that two processes filled at a time, so ``kept`` is filled by one, and copied.

    Args:
        kept: as :func:`compiled_librosa`; missing, or whole.
        own: ``NUMBA_CACHE_DIR``.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{kept}.lock"):
        if not kept.is_dir():
            _use_librosa()
            new = kept.with_name(f"{kept.name}.new")
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(own, new)
            new.rename(kept)
            return
    shutil.copytree(kept, own, dirs_exist_ok=True)


def _use_librosa() -> None:
    """Call what the evaluation calls of it, on four seconds of clicks and chords."""
    from samuel_train.evaluate.features import Features
    from samuel_train.evaluate.studies.moved_voices import move
    from tests.support.train import signals
    from tests.support.train import toy_songs as toy

    band = toy.band()[: 4 * signals.RATE_HZ]
    Features.of(band, signals.RATE_HZ)
    move(band, signals.RATE_HZ, 3)
