"""What tests of several packages share."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.engined import Engined
    from tests.support.runtime.fakes.cuda import FakeCuda

# As many processes as cores run tests already: with more threads in each they would wait for one another, and waiting
# costs a third of a run's processor time. So each, and what it starts, has a core of its own.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) % len(cores)]})

# Containers often forbid it; then every process that a test starts would compile the packages, and pytest the tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# librosa's compiled functions: two processes that fill one cache at a time leave it so that every later one crashes.
# So each has its own, which `librosa_compiled` fills once and copies.
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="numba")
os.environ.setdefault("NUMBA_OPT", "0")  # they run for less than optimising them takes
atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)


def pytest_collection_finish() -> None:
    """What is imported by now stays; to go through it in every collection of garbage takes a twentieth of a run."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_cache_but_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `--doctor` measured outside must not change a test, nor a test what `samuel-run` does outside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))  # whose engines are trusted
        yield


@pytest.fixture(scope="session")
def librosa_compiled(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> None:
    """librosa's functions, compiled in this run or an earlier one: a minute of work in every process otherwise."""
    from tests.support.shared import compile_librosa, compiled_librosa

    cache = getattr(pytestconfig, "cache", None)  # none with `-p no:cacheprovider`
    kept = tmp_path_factory.getbasetemp() if cache is None else cache.mkdir("librosa")
    compile_librosa(compiled_librosa(kept), Path(os.environ["NUMBA_CACHE_DIR"]))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature bundle with random weights; read it only."""
    from tests.support.shared import hinted, made_once

    def make(folder: Path) -> None:
        from tests.support.miniature import miniature_bundle  # torch takes seconds to import, and few tests need it

        miniature_bundle(folder)

    return hinted(made_once(tmp_path_factory, "miniature", make) / "bundle")


@pytest.fixture
def timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is timed once: how exact it is is no matter."""
    monkeypatch.setattr("samuel_runtime.tuning.measure._REPEAT_FOR_S", 0.0)


@pytest.fixture(scope="session")
def sheeted(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature bundle with a model that takes a lead sheet; read it only."""
    from tests.support.runtime.sheeted import with_sheet
    from tests.support.shared import hinted

    return hinted(with_sheet(bundle, tmp_path_factory.mktemp("sheeted") / "bundle"))


@pytest.fixture
def bundle_copy(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the miniature bundle, to damage."""
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def engined(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Engined:
    """The miniature bundle with engines for the fake GPU, by precision."""
    from tests.support.engined import with_fake_engines

    folder = tmp_path_factory.mktemp("engined")
    return cache(lambda precision: with_fake_engines(bundle, folder / precision.value, precision))


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """A machine with a GPU and TensorRT for RTX, both fake, which compute."""
    from samuel_runtime.engines.tensorrt.device import gpu_here
    from tests.support.runtime.fakes.cuda import FakeCuda
    from tests.support.runtime.fakes.tensorrt import VERSION, FakeTensorRt

    fake = FakeCuda()
    fake.install(monkeypatch)
    FakeTensorRt(fake).install(monkeypatch)
    monkeypatch.setattr("samuel_runtime.engines.tensorrt.device.version_of", lambda flavor: VERSION)
    gpu_here.cache_clear()
    yield fake
    gpu_here.cache_clear()
