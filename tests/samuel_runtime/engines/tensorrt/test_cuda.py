"""CUDA as samuel uses it, on a fake GPU: what it cannot do is said in one line, and everything is given back."""

from __future__ import annotations

import gc
import inspect
import sys

import numpy as np
import pytest

from samuel_runtime.engines.tensorrt.cuda import Cuda
from samuel_runtime.errors import UserError
from tests.support.runtime.fakes.cuda import FakeCuda
from tests.support.runtime.fakes.device_toy import defective

BYTES = np.dtype(np.uint8)


def test_the_fake_has_nothing_that_the_true_module_lacks() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed (extra `rtx`)")
    fake = FakeCuda()
    names = [name for name in dir(fake) if name.startswith("cuda")]
    assert len(names) > 20
    for name in names:
        true, ours = getattr(runtime, name), getattr(fake, name)
        if inspect.isclass(ours):
            assert {one.name: int(one) for one in ours}.items() <= {one.name: int(one) for one in true}.items()
        elif callable(ours):
            assert list(inspect.signature(ours).parameters) == list(inspect.signature(true).parameters), name
        else:
            assert int(ours) == int(true), name


def test_a_gpu_is_described() -> None:
    cuda = Cuda(FakeCuda(capability=(12, 0), memory_bytes=16 << 30))
    assert str(cuda.gpu) == "Fake GPU (compute capability 12.0, 16 GiB)"
    assert cuda.gpu.driver == "13.0"


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        (FakeCuda(driver=0), "there is no NVIDIA driver; install one"),
        (FakeCuda(devices=0), "cudaErrorNoDevice.*there is no NVIDIA GPU"),
        (FakeCuda(unloadable=True), r"Failed to dlopen libcuda\.so\.1; install a driver"),
        (FakeCuda(driver=11_080, outdated=True), r"cudaErrorInsufficientDriver.*install a newer driver"),
    ],
    ids=["no driver", "no device", "no driver library", "old driver"],
)
def test_a_machine_without_a_usable_gpu_is_told_so(fake: FakeCuda, said: str) -> None:
    with pytest.raises(
        UserError, match=f"^CUDA: .*{said}.*, or use `provider='cpu'`$|^CUDA: .*{said}; use `provider='cpu'`$"
    ):
        Cuda(fake)
    fake.assert_clean()


def test_it_is_loaded_through_cuda_python(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda()
    fake.install(monkeypatch)
    assert Cuda.load().gpu.name == "Fake GPU"
    gc.collect()
    fake.assert_clean()


def test_without_cuda_python_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(
        UserError, match=r"cuda-python is not installed; add it with `pip install 'samuel-deploy\[rtx\]'`"
    ):
        Cuda.load()


def test_memory_goes_up_and_comes_back() -> None:
    fake = FakeCuda()
    cuda = Cuda(fake)
    there, back = cuda.pinned((3, 5), np.dtype(np.float32)), cuda.pinned((3, 5), np.dtype(np.float32))
    there[...] = np.arange(15).reshape(3, 5)
    memory = cuda.allocate(there.nbytes)
    cuda.upload(memory.address, there)
    cuda.download(back, memory.address)
    assert not back.any()  # not yet
    cuda.synchronize()
    np.testing.assert_array_equal(back, there)


def test_memory_of_the_device_and_of_the_host_is_zeroed() -> None:
    cuda = Cuda(FakeCuda())
    memory, back = cuda.allocate(64), cuda.pinned((64,), BYTES)
    assert not back.any()
    back[...] = 1
    cuda.download(back, memory.address)
    cuda.synchronize()
    assert not back.any()


def test_memory_is_freed_with_its_last_user() -> None:
    fake = FakeCuda()
    cuda = Cuda(fake)
    memory, view = cuda.allocate(64), cuda.pinned((8, 8), BYTES)[2:, ::2].T
    view[...] = 7
    assert len(fake.alive()) == 3
    del memory
    assert fake.alive() == ["64 pinned bytes", "stream"]
    assert (view == 7).all()  # a view of a view keeps it
    del view
    assert fake.alive() == ["stream"]
    del cuda
    fake.assert_clean()


@pytest.mark.parametrize("shape", [(0,), (), (0, 3)])
def test_arrays_of_any_size_are_pinned(shape: tuple[int, ...]) -> None:
    assert Cuda(FakeCuda()).pinned(shape, np.dtype(np.float32)).shape == shape


@pytest.mark.parametrize("nth", [1, 2])
def test_full_memory_is_named_and_nothing_leaks(nth: int) -> None:
    fake = FakeCuda(fail_at=nth)

    def use() -> None:
        cuda = Cuda(fake)
        memory = cuda.allocate(64)
        cuda.pinned((memory.size,), BYTES)

    with pytest.raises(UserError, match=r"the GPU's memory is full: close what else uses it, or use `provider='cpu'`"):
        use()
    gc.collect()
    fake.assert_clean()


def test_a_graph_does_what_was_captured_each_time_it_is_launched() -> None:
    fake = FakeCuda()
    cuda = Cuda(fake)
    memory, host = cuda.allocate(8), cuda.pinned((8,), BYTES)
    with cuda.capturing() as graph:
        fake.cudaMemsetAsync(memory.address, 5, 4, cuda.stream)
    for launched in (False, True, True):
        host[...] = 1
        cuda.upload(memory.address, host)
        if launched:
            graph.launch()
        cuda.download(host, memory.address)
        cuda.synchronize()
        assert host.tolist() == [5 if launched and i < 4 else 1 for i in range(8)]
    assert sorted(fake.alive()) == ["8 bytes of the device", "8 pinned bytes", "executable graph", "stream"]
    del graph, memory, host, cuda
    fake.assert_clean()


def test_a_capture_that_fails_leaves_the_stream_usable() -> None:
    fake = FakeCuda()
    cuda = Cuda(fake)
    with pytest.raises(UserError, match="halfway"), cuda.capturing():
        raise UserError("halfway")
    cuda.synchronize()
    with cuda.capturing() as graph:
        pass
    graph.launch()
    cuda.synchronize()
    del graph, cuda
    fake.assert_clean()


def test_garbage_is_not_collected_during_a_capture() -> None:
    """A cycle that holds memory would be freed in the middle of the capture, which CUDA refuses and remembers."""
    fake = FakeCuda()
    cuda = Cuda(fake)
    cycle: list[object] = [cuda.allocate(64)]
    cycle.append(cycle)
    del cycle
    with cuda.capturing() as graph:
        garbage = [[] for _ in range(200_000)]  # enough for a collection of every generation
    assert gc.isenabled() and garbage
    gc.collect()
    del graph, cuda
    fake.assert_clean()


def test_the_fake_calls_misuse_a_defect() -> None:
    """What a GPU answers with a crash, with wrong numbers, or not at all."""
    fake = FakeCuda()
    cuda = Cuda(fake)
    memory, host, pageable = cuda.allocate(64), cuda.pinned((65,), BYTES), np.zeros(64, np.uint8)
    address = memory.address
    with defective(fake, "run over the end of a device block"):
        cuda.upload(address, host)
    with defective(fake, "run over the end of a pinned block"):
        fake.cudaMemcpyAsync(host.ctypes.data + 33, address, 64, fake.cudaMemcpyKind(2), cuda.stream)
    with defective(fake, "is no pinned memory"):
        cuda.upload(address, pageable)
    with defective(fake, "is no pinned memory"):  # the wrong way round
        fake.cudaMemcpyAsync(address, host.ctypes.data, 64, fake.cudaMemcpyKind(2), cuda.stream)
    with defective(fake, "is no device memory"):
        fake.cudaMemsetAsync(host.ctypes.data, 0, 1, cuda.stream)
    with cuda.capturing():
        with defective(fake, "cudaMalloc while a stream is captured"):
            cuda.allocate(1)
        with defective(fake, "cudaHostAlloc while a stream is captured"):
            cuda.pinned((1,), BYTES)
        with defective(fake, "cudaStreamSynchronize while a stream is captured"):
            cuda.synchronize()
    with cuda.capturing() as graph:
        fake.cudaMemsetAsync(address, 1, 64, cuda.stream)
    del memory
    graph.launch()
    with defective(fake, "is freed device memory"):
        cuda.synchronize()
    with defective(fake, "freed before"):
        fake.cudaFree(address)
    with defective(fake, "never allocated"):
        fake.cudaFreeHost(host.ctypes.data + 1)
    with defective(fake, "is no executable graph"):
        fake.cudaGraphExecDestroy(cuda.stream)
    del graph, host, cuda
    gc.collect()  # the frames of what was raised
    fake.assert_clean()


def test_the_fake_does_work_as_late_as_a_gpu_may() -> None:
    cuda = Cuda(FakeCuda())
    memory, host, back = cuda.allocate(4), cuda.pinned((4,), BYTES), cuda.pinned((4,), BYTES)
    host[...] = 1
    cuda.upload(memory.address, host)
    host[...] = 2  # too early
    cuda.download(back, memory.address)
    assert not back.any()
    cuda.synchronize()
    assert (back == 2).all()


def test_the_fake_poisons_what_is_new_and_what_is_freed() -> None:
    fake = FakeCuda()
    _, address = fake.cudaMalloc(8)
    content = fake.device_bytes(address, 8)
    assert np.isnan(content.view(np.float32)).all()
    content[...] = 0
    fake.cudaFree(address)
    assert np.isnan(content.view(np.float32)).all()
    assert not fake.alive()
