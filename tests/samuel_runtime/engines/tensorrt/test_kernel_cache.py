"""What TensorRT compiled here once it does not compile again; what cannot be kept costs time and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.engines.tensorrt import kernel_cache
from samuel_runtime.engines.tensorrt.cuda import Gpu
from samuel_runtime.engines.tensorrt.cuda_graph_sampler import CudaGraphSampler
from samuel_runtime.engines.tensorrt.kernel_cache import KernelCache
from samuel_runtime.settings import Sampler
from tests.support.runtime.fakes.cuda import FakeCuda
from tests.support.runtime.fakes.device_toy import CHANNELS, Machine, Window

SAMPLER = Sampler.UNIPC
VOCALS = np.ones((1, CHANNELS, 5), np.float32)
GPU = Gpu("Fake GPU", (8, 9), 8 << 30, "13.0")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, new for each test."""
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    return tmp_path / "cache" / "samuel"


def compiled(frames: int = 5, capability: tuple[int, int] = (8, 9)) -> int:
    """How many kernels a new process compiles for one run."""
    machine = Machine(FakeCuda(capability=capability))
    machine.conditioning()(vocals=np.ones((1, CHANNELS, frames), np.float32))
    return machine.fake.calls["compile"]


def test_a_second_start_compiles_nothing(cache: Path) -> None:
    assert compiled() == 1
    (file,) = cache.iterdir()
    assert file.name.startswith("kernels-") and file.suffix == ".bin"
    assert compiled() == 0
    assert compiled(frames=6) == 1  # a new shape
    assert compiled(frames=5) == compiled(frames=6) == 0


def test_a_loop_keeps_its_kernels() -> None:
    def start() -> int:
        machine, inputs = Machine(), Window().inputs(SAMPLER, 2)
        loop = CudaGraphSampler(
            machine.cuda, machine.conditioning(), machine.step(), inputs.start.shape, inputs.terms, noisy=False
        )
        loop.run(inputs)
        return machine.fake.calls["compile"]

    assert (start(), start()) == (2, 0)


def test_another_gpu_compiles_its_own(cache: Path) -> None:
    assert compiled() == compiled(capability=(12, 0)) == 1
    assert len(list(cache.iterdir())) == 2
    assert compiled() == 0


def test_every_part_of_the_identity_names_another_file() -> None:
    names = {
        KernelCache(sha256, gpu, version)._name
        for sha256 in ("a", "b")
        for gpu in (GPU, Gpu("Fake GPU", (8, 6), 8 << 30, "13.0"), Gpu("Fake GPU", (8, 9), 8 << 30, "13.1"))
        for version in ("1.7", "1.8")
    }
    assert len(names) == 12


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b'["1.6", [8, 9], []]'])
def test_a_damaged_file_is_replaced(cache: Path, content: bytes) -> None:
    compiled()
    (file,) = cache.iterdir()
    kept = file.read_bytes()
    file.write_bytes(content)
    assert compiled() == 1
    assert file.read_bytes() == kept


def test_a_file_of_absurd_size_is_not_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled()
    monkeypatch.setattr(kernel_cache, "_LARGEST_BYTES", 10)
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    assert compiled() == 1
    assert file.stat().st_mtime_ns == before  # nor written


def test_nothing_is_written_twice(cache: Path) -> None:
    machine = Machine()
    engine = machine.conditioning()
    engine(vocals=VOCALS)
    (file,) = cache.iterdir()
    file.unlink()
    engine(vocals=VOCALS)
    assert not list(cache.iterdir())  # nothing new was compiled


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(cache: Path) -> None:
    cache.parent.parent.mkdir(parents=True, exist_ok=True)
    cache.parent.write_text("a file, where the folder should be")
    assert compiled() == compiled() == 1


def test_what_was_never_attached_is_not_kept(cache: Path) -> None:
    KernelCache("0", GPU, "1.7").keep()
    assert not cache.exists()
