"""A GPU for tests: stands in for the module ``cuda.bindings.runtime``, with the host's memory as the device's.

Work that a stream is given is queued and done when the host waits for it, as late as a GPU may do it, so a missing
wait shows as stale data. What a GPU would answer with a crash or with wrong numbers is an AssertionError here: a
defect, not an error of the user's. Finalizers swallow errors, so defects are kept as well, see ``assert_clean``.
"""

# ruff: noqa: N802, N803, N815 - the names are the true module's

from __future__ import annotations

import ctypes
import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

POISON = 0xFF
"""Every byte of memory that nobody has written, or that is freed: NaN in each floating point type."""
ALIGNMENT = 256
"""Bytes; of what ``cudaMalloc`` gives."""

_FIRST_ADDRESS = 1 << 60  # no address of the host's: only the fake can read there
_GAP = 1 << 20  # between blocks, so that what runs over one does not reach the next


class Error(IntEnum):
    """As ``cudaError_t``."""

    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100


class CopyKind(IntEnum):
    """As ``cudaMemcpyKind``."""

    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class CaptureMode(IntEnum):
    """As ``cudaStreamCaptureMode``."""

    cudaStreamCaptureModeGlobal = 0
    cudaStreamCaptureModeThreadLocal = 1
    cudaStreamCaptureModeRelaxed = 2


Work = Callable[[], None]


@dataclass(eq=False)
class Handle:
    """A stream, a graph or an executable graph: as cuda-python's, nothing but a number to its user."""

    kind: str
    number: int
    work: list[Work] = field(default_factory=list)
    """Of a stream: what is queued. Of a graph: what it holds."""
    captured: list[Work] | None = None
    """Of a stream that is being captured: what it was given since."""

    def __int__(self) -> int:
        return self.number


@dataclass(eq=False)
class Block:
    """Memory."""

    address: int
    content: np.ndarray
    """Its bytes."""
    owner: Any = None
    """Keeps them."""

    @property
    def end(self) -> int:
        return self.address + len(self.content)


class FakeCuda:
    """The functions and constants of the CUDA runtime that samuel uses, under their names."""

    cudaError_t, cudaMemcpyKind, cudaStreamCaptureMode = Error, CopyKind, CaptureMode
    cudaStreamNonBlocking, cudaHostAllocDefault = 1, 0

    def __init__(
        self,
        *,
        driver: int = 13_000,
        devices: int = 1,
        capability: tuple[int, int] = (8, 9),
        memory_bytes: int = 8 << 30,
        fail_at: int | None = None,
        outdated: bool = False,
        unloadable: bool = False,
    ) -> None:
        """Build a machine.

        Args:
            driver: the newest CUDA version that it serves, 1000 major + 10 minor; 0 is none.
            devices: how many GPUs there are.
            capability: theirs.
            memory_bytes: of each.
            fail_at: which allocation, counted from 1, finds the memory full.
            outdated: whether that is older than this CUDA needs.
            unloadable: whether cuda-python finds no library of the driver.
        """
        self.capability, self.memory_bytes, self.fail_at = capability, memory_bytes, fail_at
        self._driver, self._devices, self._outdated, self._unloadable = driver, devices, outdated, unloadable
        self.calls: Counter[str] = Counter()
        """How often each function was called, and what stands beside CUDA was done."""
        self.copied: list[tuple[CopyKind, int]] = []
        """Kind and bytes of every copy that was asked for."""
        self.defects: list[str] = []
        """Every AssertionError so far."""
        self._device: dict[int, Block] = {}
        self._pinned: dict[int, Block] = {}
        self._retired: list[Block] = []  # stays poisoned: who still looks at it sees NaN, not what came after
        self._handles: dict[int, Handle] = {}
        self._capturing: int | None = None  # the thread that captured last
        self._working = threading.RLock()
        self._addresses, self._numbers = _FIRST_ADDRESS, itertools.count(0x1000)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be what ``from cuda.bindings import runtime`` finds."""
        package, bindings = ModuleType("cuda"), ModuleType("cuda.bindings")
        package.bindings, bindings.runtime = bindings, self  # type: ignore[attr-defined]
        names = {"cuda": package, "cuda.bindings": bindings, "cuda.bindings.runtime": self}
        for name, module in names.items():
            monkeypatch.setitem(sys.modules, name, module)  # type: ignore[arg-type]

    # What stands in for a GPU's kernels uses these.

    def defect(self, said: str) -> AssertionError:
        """Keep, for the caller to raise, a mistake that a GPU would punish later, somewhere else, or never."""
        self.defects.append(said)
        return AssertionError(said)

    def device_bytes(self, address: int, size: int) -> np.ndarray:
        """A view of the device's memory, which must be alive."""
        return self._span(self._device, "device", address, size)

    def is_capturing(self, stream: Any) -> bool:
        """Whether the stream is being captured."""
        return self._handle("stream", stream).captured is not None

    def queue(self, stream: Any, work: Work) -> None:
        """Give a stream work that a capture may hold."""
        found = self._handle("stream", stream)
        with self._working:
            (found.work if found.captured is None else found.captured).append(work)

    def alive(self) -> list[str]:
        """What has not been given back."""
        blocks = [f"{len(block.content)} bytes of the device" for block in self._device.values()]
        pinned = [f"{len(block.content)} pinned bytes" for block in self._pinned.values()]
        return [*blocks, *pinned, *(handle.kind for handle in self._handles.values())]

    def assert_clean(self) -> None:
        """Nothing is alive, and nothing went wrong, not even in a finalizer."""
        assert (self.defects, self.alive()) == ([], [])

    # The module.

    def cudaDriverGetVersion(self) -> tuple[Any, ...]:
        self.calls["cudaDriverGetVersion"] += 1
        if self._unloadable:
            raise RuntimeError("Failed to dlopen libcuda.so.1")
        return Error.cudaSuccess, self._driver

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:
        failure = self._enter("cudaGetDeviceCount")
        return (failure, None) if failure else (Error.cudaSuccess, self._devices)

    def cudaGetDeviceProperties(self, device: int) -> tuple[Any, ...]:
        if failure := self._enter("cudaGetDeviceProperties"):
            return failure, None
        if not 0 <= device < self._devices:
            raise self.defect(f"there is no device {device}")
        major, minor = self.capability
        facts = SimpleNamespace(name=b"Fake GPU", major=major, minor=minor, totalGlobalMem=self.memory_bytes)
        return Error.cudaSuccess, facts

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        failure = self._enter("cudaStreamCreateWithFlags")
        return (failure, None) if failure else (Error.cudaSuccess, self._created("stream"))

    def cudaStreamDestroy(self, stream: Any) -> tuple[Any, ...]:
        self._enter("cudaStreamDestroy")
        self._do(self._handle("stream", stream))
        return self._destroyed("stream", stream)

    def cudaStreamSynchronize(self, stream: Any) -> tuple[Any, ...]:
        self._enter("cudaStreamSynchronize", capturable=False)
        self._do(self._handle("stream", stream))
        return (Error.cudaSuccess,)

    def cudaStreamBeginCapture(self, stream: Any, mode: Any) -> tuple[Any, ...]:
        self._enter("cudaStreamBeginCapture")
        found = self._handle("stream", stream)
        if found.captured is not None or not isinstance(mode, CaptureMode):
            raise self.defect(f"a capture inside a capture, or in mode {mode!r}")
        found.captured, self._capturing = [], threading.get_ident()
        return (Error.cudaSuccess,)

    def cudaStreamEndCapture(self, stream: Any) -> tuple[Any, ...]:
        self._enter("cudaStreamEndCapture")
        found = self._handle("stream", stream)
        if found.captured is None:
            raise self.defect("the end of a capture that was not begun")
        graph, found.captured = self._created("graph", found.captured), None
        return Error.cudaSuccess, graph

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> tuple[Any, ...]:
        self._enter("cudaGraphInstantiate")
        return Error.cudaSuccess, self._created("executable graph", list(self._handle("graph", graph).work))

    def cudaGraphDestroy(self, graph: Any) -> tuple[Any, ...]:
        self._enter("cudaGraphDestroy")
        return self._destroyed("graph", graph)

    def cudaGraphExecDestroy(self, graphExec: Any) -> tuple[Any, ...]:
        self._enter("cudaGraphExecDestroy")
        return self._destroyed("executable graph", graphExec)

    def cudaGraphLaunch(self, graphExec: Any, stream: Any) -> tuple[Any, ...]:
        self._enter("cudaGraphLaunch", capturable=False)  # a GPU can, but nobody means it
        for work in self._handle("executable graph", graphExec).work:
            self.queue(stream, work)
        return (Error.cudaSuccess,)

    def cudaMemGetInfo(self) -> tuple[Any, ...]:
        return Error.cudaSuccess, self.memory_bytes, self.memory_bytes

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        if failure := self._enter("cudaMalloc", capturable=False) or self._allocation(size):
            return failure, None
        address, self._addresses = self._addresses, -(-(self._addresses + size + _GAP) // ALIGNMENT) * ALIGNMENT
        self._device[address] = Block(address, np.full(size, POISON, np.uint8))
        return Error.cudaSuccess, address

    def cudaFree(self, devPtr: Any) -> tuple[Any, ...]:
        return self._free("cudaFree", self._device, int(devPtr))

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, ...]:
        if failure := self._enter("cudaHostAlloc", capturable=False) or self._allocation(size):
            return failure, None
        owner = (ctypes.c_uint8 * size)()
        content = np.frombuffer(owner, np.uint8)
        content[...] = POISON
        address = ctypes.addressof(owner)
        self._pinned[address] = Block(address, content, owner)
        return Error.cudaSuccess, address

    def cudaFreeHost(self, ptr: Any) -> tuple[Any, ...]:
        return self._free("cudaFreeHost", self._pinned, int(ptr))

    def cudaMemsetAsync(self, devPtr: Any, value: int, count: int, stream: Any) -> tuple[Any, ...]:
        self._enter("cudaMemsetAsync")
        address = int(devPtr)
        self.device_bytes(address, count)

        def work() -> None:
            self.device_bytes(address, count)[...] = value

        self.queue(stream, work)
        return (Error.cudaSuccess,)

    def cudaMemcpyAsync(self, dst: Any, src: Any, count: int, kind: Any, stream: Any) -> tuple[Any, ...]:
        self._enter("cudaMemcpyAsync")
        if not isinstance(kind, CopyKind):
            raise self.defect(f"a copy of the kind {kind!r}")
        if self.is_capturing(stream):
            raise self.defect(
                "a capture would keep the host's address"
            )  # it may be captured, but not as samuel does it
        self.copied.append((kind, count))
        up, to, source = kind is CopyKind.cudaMemcpyHostToDevice, int(dst), int(src)

        def ends() -> tuple[np.ndarray, np.ndarray]:
            host, device = (source, to) if up else (to, source)
            on_host = self._span(self._pinned, "pinned", host, count)
            on_device = self.device_bytes(device, count)
            return (on_device, on_host) if up else (on_host, on_device)

        def work() -> None:
            target, values = ends()
            target[...] = values

        ends()
        self.queue(stream, work)
        return (Error.cudaSuccess,)

    # Inside.

    def _enter(self, name: str, *, capturable: bool = True) -> Error:
        """Count a call; says why it must fail, if so."""
        self.calls[name] += 1
        captured = any(one.captured is not None for one in list(self._handles.values()))
        if not capturable and captured and self._capturing == threading.get_ident():  # others' calls are none of it
            raise self.defect(f"{name} while a stream is captured")
        if self._outdated or not self._driver:
            return Error.cudaErrorInsufficientDriver
        return Error.cudaSuccess if self._devices else Error.cudaErrorNoDevice

    def _allocation(self, size: int) -> Error:
        if size <= 0:
            raise self.defect(f"an allocation of {size} bytes")
        self.calls["allocation"] += 1
        used = sum(len(block.content) for block in list(self._device.values()))
        full = self.calls["allocation"] == self.fail_at or used + size > self.memory_bytes
        return Error.cudaErrorMemoryAllocation if full else Error.cudaSuccess

    def _free(self, name: str, blocks: dict[int, Block], address: int) -> tuple[Any, ...]:
        self._enter(name, capturable=False)
        if address not in blocks:
            before = any(address == block.address for block in self._retired)
            raise self.defect(f"{name}: {address:#x} was {'freed before' if before else 'never allocated'}")
        for handle in list(self._handles.values()):
            if handle.kind == "stream":
                self._do(handle)  # as the true one, which waits for the device
        block = blocks.pop(address)
        block.content[...] = POISON
        self._retired.append(block)
        return (Error.cudaSuccess,)

    def _span(self, blocks: dict[int, Block], where: str, address: int, size: int) -> np.ndarray:
        for block in list(blocks.values()):  # other threads allocate and free meanwhile
            if block.address <= address < block.end:
                if address + size > block.end:
                    raise self.defect(f"{size} bytes at {address:#x} run over the end of a {where} block")
                start = address - block.address
                return block.content[start : start + size]
        gone = any(block.address <= address < block.end for block in list(self._retired))
        raise self.defect(f"{address:#x} is {'freed' if gone else 'no'} {where} memory")

    def _do(self, stream: Handle) -> None:
        with self._working:
            work, stream.work = stream.work, []
            for one in work:
                one()

    def _created(self, kind: str, work: list[Work] | None = None) -> Handle:
        handle = Handle(kind, next(self._numbers), work or [])
        self._handles[handle.number] = handle
        return handle

    def _handle(self, kind: str, handle: Any) -> Handle:
        found = self._handles.get(int(handle))
        if found is None or found.kind != kind:
            raise self.defect(f"{int(handle):#x} is no {kind}, or no longer")
        return found

    def _destroyed(self, kind: str, handle: Any) -> tuple[Any, ...]:
        if self._handle(kind, handle).captured is not None:
            raise self.defect("a stream destroyed while it is captured")
        del self._handles[int(handle)]
        return (Error.cudaSuccess,)
