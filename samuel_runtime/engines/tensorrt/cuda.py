"""CUDA through cuda-python: memory that is freed with its owner, one stream, graphs; every error is one line."""

from __future__ import annotations

import ctypes
import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from samuel_runtime.errors import UserError

ALIGNMENT = 256
"""Bytes; what TensorRT asks of the addresses that it reads and writes."""
_INSTALL = "pip install 'samuel-deploy[rtx]'"
_MENDS = {
    "cudaErrorMemoryAllocation": "the GPU's memory is full: close what else uses it",
    "cudaErrorNoDevice": "there is no NVIDIA GPU, or CUDA_VISIBLE_DEVICES hides it: show it",
    "cudaErrorInsufficientDriver": "install a newer driver",
}


@dataclass(frozen=True)
class Gpu:
    """The device."""

    name: str
    """As its driver calls it."""
    capability: tuple[int, int]
    """Compute capability."""
    memory_bytes: int
    """In all."""
    driver: str
    """The newest CUDA version that the driver serves."""

    def __str__(self) -> str:
        major, minor = self.capability
        return f"{self.name} (compute capability {major}.{minor}, {self.memory_bytes / 2**30:.0f} GiB)"


class Cuda:
    """The CUDA runtime of this process, on its first device, with one stream."""

    def __init__(self, runtime: Any) -> None:
        """Take the module ``cuda.bindings.runtime``, or what stands in for it in a test.

        Raises:
            UserError: there is no driver or no device.
        """
        self._runtime = runtime
        self.lock = threading.RLock()
        """To be held while the stream is given work that belongs together: there is one for all threads."""
        driver = self.call("cudaDriverGetVersion")
        if not driver:
            raise UserError("CUDA: there is no NVIDIA driver; install one for your GPU, or use `provider='cpu'`")
        if not self.call("cudaGetDeviceCount"):
            raise UserError("CUDA: there is no NVIDIA GPU; use `provider='cpu'`")
        facts = self.call("cudaGetDeviceProperties", 0)
        name = facts.name.decode() if isinstance(facts.name, bytes) else facts.name
        version = f"{driver // 1000}.{driver % 1000 // 10}"
        self.gpu = Gpu(name, (facts.major, facts.minor), facts.totalGlobalMem, version)

    @cached_property
    def stream(self) -> Any:
        """Everything's order. Made when it is first used: it takes the device's memory, which looking does not."""
        stream = self.call("cudaStreamCreateWithFlags", self._runtime.cudaStreamNonBlocking)
        weakref.finalize(self, self._release, self._runtime, "cudaStreamDestroy", stream)
        return stream

    @classmethod
    def load(cls) -> Cuda:
        """Through cuda-python.

        Raises:
            UserError: it is not installed, or there is no driver or no device.
        """
        try:
            from cuda.bindings import runtime
        except ImportError as error:
            raise UserError(f"cuda-python is not installed; add it with `{_INSTALL}`") from error
        return cls(runtime)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function of the CUDA runtime.

        Raises:
            UserError: it reports an error.
        """
        try:
            status, *values = getattr(self._runtime, name)(*arguments)
        except RuntimeError as error:  # cuda-python finds no driver library to load
            raise UserError(f"CUDA: {error}; install a driver for your GPU, or use `provider='cpu'`") from error
        if int(status) != 0:
            said = getattr(status, "name", str(status))
            raise UserError(
                f"CUDA: {name} failed ({said}); {_MENDS.get(said, 'check the driver')}, or use `provider='cpu'`"
            )
        return values[0] if len(values) == 1 else values

    def allocate(self, size: int) -> Memory:
        """Memory of the device, zeroed.

        Raises:
            UserError: there is not enough.
        """
        address = int(self.call("cudaMalloc", size))
        memory = Memory(address, size)
        weakref.finalize(memory, self._release, self._runtime, "cudaFree", address)
        self.clear(memory)
        return memory

    def clear(self, memory: Memory) -> None:
        """Zero a block, in the stream's order."""
        self.call("cudaMemsetAsync", memory.address, 0, memory.size, self.stream)

    def pinned(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """An array of the host that the device copies from and to without a detour, zeroed.

        Raises:
            UserError: there is not enough such memory.
        """
        size = max(int(np.prod(shape)) * dtype.itemsize, 1)
        address = int(self.call("cudaHostAlloc", size, self._runtime.cudaHostAllocDefault))
        block = (ctypes.c_uint8 * size).from_address(address)  # what the array, and every view of it, keeps alive
        weakref.finalize(block, self._release, self._runtime, "cudaFreeHost", address)
        array = np.ndarray(shape, dtype, memoryview(block))
        array[...] = 0
        return array

    def upload(self, target: int, source: np.ndarray) -> None:
        """Copy a pinned array to the device, in the stream's order."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", target, source.ctypes.data, source.nbytes, kind, self.stream)

    def download(self, target: np.ndarray, source: int) -> None:
        """Copy from the device to a pinned array, in the stream's order: it is there after :meth:`synchronize`."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", target.ctypes.data, source, target.nbytes, kind, self.stream)

    def synchronize(self) -> None:
        """Wait for the stream."""
        self.call("cudaStreamSynchronize", self.stream)

    @contextmanager
    def capturing(self) -> Iterator[Graph]:
        """What the stream is given in this block becomes a graph instead of being done.

        Raises:
            UserError: something in it cannot be captured.
        """
        graph = Graph(self)
        # Of this thread alone: what others allocate meanwhile is none of it.
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        with _keeping_garbage():
            self.call("cudaStreamBeginCapture", self.stream, mode)
            try:
                yield graph
            except BaseException:
                status, captured = self._runtime.cudaStreamEndCapture(self.stream)  # else the stream stays unusable
                if int(status) == 0:
                    self._runtime.cudaGraphDestroy(captured)
                raise
            captured = self.call("cudaStreamEndCapture", self.stream)
        try:
            graph.executable = self.call("cudaGraphInstantiate", captured, 0)
        finally:
            self.call("cudaGraphDestroy", captured)
        weakref.finalize(graph, self._release, self._runtime, "cudaGraphExecDestroy", graph.executable)

    @staticmethod
    def _release(runtime: Any, name: str, handle: Any) -> None:
        getattr(runtime, name)(handle)  # an error here, as at the end of a process, is nobody's to mend


@contextmanager
def _keeping_garbage() -> Iterator[None]:
    """Collect no garbage: memory that is freed while a stream is captured makes the capture fail."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@dataclass(eq=False)
class Memory:
    """A block on the device; freed with this object."""

    address: int
    size: int


class Graph:
    """Work that a stream was given once, to be done again at one call."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda = cuda
        self.executable: Any = None

    def launch(self) -> None:
        """Do it all, in the stream's order."""
        self._cuda.call("cudaGraphLaunch", self.executable, self._cuda.stream)
