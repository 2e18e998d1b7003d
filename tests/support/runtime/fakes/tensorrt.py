"""TensorRT for tests: stands in for the module ``tensorrt_rtx`` where engines run, on a :class:`FakeCuda`.

An engine's file is a header and an ONNX model; a context runs the model in ONNX Runtime on the fake device's memory,
in the stream's order. It refuses what the true one refuses, in the same way (False or None, and an ERROR in the log);
what the true one leaves undefined is an AssertionError.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import weakref
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.support.runtime.fakes.cuda import ALIGNMENT, FakeCuda

VERSION = "1.7.1.116"
Profile = Mapping[str, tuple[Sequence[int], Sequence[int], Sequence[int]]]
"""Least, best and largest shape of every input."""

_MAGIC = b"FAKE-RTX"
_HEADER = struct.Struct("<8sQQ")
_SCRATCH_LEAST = 1024
_SPOILT = 0xA5  # what a run leaves in its scratch memory


def write_engine(
    model: bytes, profiles: Sequence[Profile], version: str = VERSION, capability: tuple[int, int] | None = None
) -> bytes:
    """An engine's file.

    Args:
        model: ONNX.
        profiles: the shapes that it is built for.
        version: of the library that builds it.
        capability: of the only GPU that it runs on; None runs on any.
    """
    header = json.dumps({"version": version, "capability": capability, "profiles": [dict(one) for one in profiles]})
    return _HEADER.pack(_MAGIC, len(header), len(model)) + header.encode() + model


class DataType(IntEnum):
    """Of tensors."""

    FLOAT, HALF, BOOL, INT32, INT64 = 0, 1, 4, 3, 8


class TensorIOMode(IntEnum):
    """What a tensor is."""

    NONE, INPUT, OUTPUT = 0, 1, 2


class ExecutionContextAllocationStrategy(IntEnum):
    """Whose a context's scratch memory is."""

    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = 0, 1, 2


class DynamicShapesKernelSpecializationStrategy(IntEnum):
    """When kernels for a shape are compiled."""

    LAZY, EAGER, NONE = 0, 1, 2


_TYPES = {
    "tensor(float)": DataType.FLOAT,
    "tensor(float16)": DataType.HALF,
    "tensor(bool)": DataType.BOOL,
    "tensor(int32)": DataType.INT32,
    "tensor(int64)": DataType.INT64,
}
_NUMPY = {
    DataType.FLOAT: np.float32,
    DataType.HALF: np.float16,
    DataType.BOOL: np.bool_,
    DataType.INT32: np.int32,
    DataType.INT64: np.int64,
}


def nptype(trt_type: DataType) -> type[np.generic]:
    """As NumPy calls it."""
    return _NUMPY[trt_type]


class Severity(IntEnum):
    """As ``ILogger.Severity``."""

    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class ILogger:
    """What is told everything."""

    Severity = Severity

    def __init__(self) -> None:
        self._made = True  # its heirs must call this, as with the true one

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


class FakeTensorRt(ModuleType):
    """The module."""

    DataType, TensorIOMode, ILogger = DataType, TensorIOMode, ILogger
    ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy
    DynamicShapesKernelSpecializationStrategy = DynamicShapesKernelSpecializationStrategy
    nptype = staticmethod(nptype)

    def __init__(self, cuda: FakeCuda, version: str = VERSION, *, classic: bool = False) -> None:
        """Install a library of that version on a machine; the classic one compiles nothing where engines run."""
        super().__init__("tensorrt" if classic else "tensorrt_rtx")
        self.__version__, self._cuda, self._classic = version, cuda, classic
        self.__spec__ = ModuleSpec(self.__name__, None)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be what ``import tensorrt_rtx`` finds."""
        monkeypatch.setitem(sys.modules, self.__name__, self)

    def Runtime(self, logger: ILogger) -> Runtime:  # noqa: N802 - the true one's name
        return Runtime(self, self._cuda, logger)


class Runtime:
    """Opens engines."""

    def __init__(self, trt: FakeTensorRt, cuda: FakeCuda, logger: ILogger) -> None:
        if not getattr(logger, "_made", False):
            raise cuda.defect("a logger that is none")
        self._version, self._cuda, self._logger = trt.__version__, cuda, weakref.ref(logger)
        self._config = ClassicRuntimeConfig if trt._classic else IRuntimeConfig

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        if refused := self._refusal(serialized_engine):
            self._say(f"IRuntime::deserializeCudaEngine: Error Code 1: Serialization\n({refused})")
            self._say("no error, but a hint", Severity.WARNING)
            return None
        start = _HEADER.size + _HEADER.unpack_from(serialized_engine)[1]
        profiles = json.loads(serialized_engine[_HEADER.size : start])["profiles"]
        return ICudaEngine(self, bytes(serialized_engine[start:]), profiles)

    def _refusal(self, content: bytes) -> str:
        if len(content) < _HEADER.size or content[:8] != _MAGIC:
            return "magicTagRead == kMAGIC_TAG"
        _, header_size, model_size = _HEADER.unpack_from(content)
        if len(content) != _HEADER.size + header_size + model_size:
            return "the engine is truncated"
        header = json.loads(content[_HEADER.size : _HEADER.size + header_size])
        if header["version"] != self._version:
            return f"built by version {header['version']}"
        if header["capability"] not in (None, list(self._cuda.capability)):
            return f"built for compute capability {header['capability']}"
        return ""

    def _say(self, message: str, severity: Severity = Severity.ERROR) -> None:
        logger = self._logger()
        if logger is None:
            raise self._cuda.defect("the logger is gone before what was made with it")
        logger.log(severity, message)


@lru_cache(maxsize=16)
def _opened(model: bytes) -> tuple[onnxruntime.InferenceSession, dict[str, list[tuple[int, ...]]]]:
    """A model in ONNX Runtime, and the shapes of its outputs by those of its inputs as far as they are known.

    Sessions keep nothing between runs, so all engines of a model, however often it is opened, share one.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]), {}


class ICudaEngine:
    """An engine."""

    _capturable = True

    def __init__(self, runtime: Runtime, model: bytes, profiles: list[dict[str, list[list[int]]]]) -> None:
        self._runtime, self._cuda, self._profiles = runtime, runtime._cuda, profiles
        self._sha256 = hashlib.sha256(model).hexdigest()
        self._session, self._shapes = _opened(model)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._inputs, self._outputs = [one.name for one in inputs], [one.name for one in outputs]
        self._types = {one.name: _TYPES[one.type] for one in (*inputs, *outputs)}

    @property
    def num_io_tensors(self) -> int:
        return len(self._types)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._profiles)

    def get_tensor_name(self, index: int) -> str:
        return [*self._inputs, *self._outputs][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        modes = {**dict.fromkeys(self._inputs, TensorIOMode.INPUT), **dict.fromkeys(self._outputs, TensorIOMode.OUTPUT)}
        return modes.get(name, TensorIOMode.NONE)

    def get_tensor_dtype(self, name: str) -> DataType:
        return self._types[name]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        return [list(shape) for shape in self._profiles[profile_index][name]]  # lists, for the true one has no tuples

    def create_runtime_config(self) -> ClassicRuntimeConfig:
        return self._runtime._config(self._runtime)

    def create_execution_context(self, runtime_config: ClassicRuntimeConfig) -> IExecutionContext:
        return IExecutionContext(self, runtime_config)

    def _output_shapes(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Tried on zeros.

        Raises:
            RuntimeError: the shapes do not fit each other.
        """
        key = repr(sorted(shapes.items()))
        if key not in self._shapes:
            zeros = {name: np.zeros(shape, nptype(self._types[name])) for name, shape in shapes.items()}
            try:
                self._shapes[key] = [array.shape for array in self._session.run(None, zeros)]
            except Exception as error:  # ONNX Runtime's have no common ancestor
                raise RuntimeError(f"shape inference failed: {error}") from error
        return dict(zip(self._outputs, self._shapes[key], strict=True))


class ClassicRuntimeConfig:
    """How contexts behave."""

    __slots__ = ("_cache", "_is_lazy", "_runtime", "_strategy")  # a name that it does not have is an error

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._strategy = runtime, ExecutionContextAllocationStrategy.STATIC
        self._cache: IRuntimeCache | None = None
        self._is_lazy = False

    def set_execution_context_allocation_strategy(self, strategy: ExecutionContextAllocationStrategy) -> None:
        self._strategy = strategy


class IRuntimeConfig(ClassicRuntimeConfig):
    """How contexts behave, and when their kernels are compiled."""

    __slots__ = ()

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._is_lazy = True

    @property
    def dynamic_shapes_kernel_specialization_strategy(self) -> DynamicShapesKernelSpecializationStrategy:
        strategy = DynamicShapesKernelSpecializationStrategy
        return strategy.LAZY if self._is_lazy else strategy.EAGER

    @dynamic_shapes_kernel_specialization_strategy.setter
    def dynamic_shapes_kernel_specialization_strategy(
        self, strategy: DynamicShapesKernelSpecializationStrategy
    ) -> None:
        self._is_lazy = strategy is DynamicShapesKernelSpecializationStrategy.LAZY

    def create_runtime_cache(self) -> IRuntimeCache:
        return IRuntimeCache(self._runtime)

    def set_runtime_cache(self, cache: IRuntimeCache) -> bool:
        self._cache = cache
        return True


class IRuntimeCache:
    """Kernels that were compiled: one for every engine and shapes that ran."""

    def __init__(self, runtime: Runtime) -> None:
        self._environment = [runtime._version, list(runtime._cuda.capability)]
        self._kernels: set[str] = set()

    def serialize(self) -> memoryview:
        """A buffer and nothing else, as the true one's."""
        return memoryview(json.dumps([*self._environment, sorted(self._kernels)]).encode())

    def deserialize(self, blob: bytes) -> bool:
        try:
            *environment, kernels = json.loads(bytes(blob))
        except ValueError:
            return False
        if environment != self._environment:
            return False
        self._kernels = set(kernels)
        return True


class IExecutionContext:
    """An engine on inputs of some shapes."""

    def __init__(self, engine: ICudaEngine, config: ClassicRuntimeConfig) -> None:
        self._engine, self._cuda, self._config = engine, engine._cuda, config
        self._profile: dict[str, list[list[int]]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._needed, self._scratch = 0, (0, 0)
        self._ran: dict[str, int] = {}  # enqueued, on these shapes

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        if self._cuda.is_capturing(stream_handle):
            raise self._cuda.defect("a profile set while the stream is captured")
        if not 0 <= profile_index < len(self._engine._profiles):
            return self._refuse(f"there is no profile {profile_index}")
        self._profile, self._shapes = self._engine._profiles[profile_index], {}
        return True

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        if name not in self._profile:
            return self._refuse(f"{name} is no input")
        least, _, most = self._profile[name]
        if len(shape) != len(least) or not all(a <= n <= b for a, n, b in zip(least, shape, most, strict=True)):
            return self._refuse(f"{name} {tuple(shape)} is outside the profile")
        self._shapes[name] = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        missing = [name for name in self._engine._inputs if name not in self._shapes]
        if not missing:
            self._engine._output_shapes(self._shapes)
        return missing

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return {**self._shapes, **self._engine._output_shapes(self._shapes)}[name]

    def update_device_memory_size_for_shapes(self) -> int:
        self._needed = _SCRATCH_LEAST + sum(size for _, size in self._sizes())
        return self._needed

    def is_stream_capturable(self, stream: int) -> bool:
        return self._engine._capturable

    def set_device_memory(self, memory: int, size: int) -> None:
        if self._config._strategy is not ExecutionContextAllocationStrategy.USER_MANAGED:
            raise self._cuda.defect("scratch memory for a context that has its own")
        if memory % ALIGNMENT or size < self._needed or not self._needed:
            raise self._cuda.defect(f"scratch memory of {size} bytes at {memory:#x}, {self._needed} are needed")
        self._cuda.device_bytes(memory, size)
        self._scratch = memory, size

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self._engine._types:
            return self._refuse(f"{name} is no tensor")
        if memory % ALIGNMENT:
            raise self._cuda.defect(f"{name}: {memory:#x} is not aligned")
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        self._cuda.calls["execute_async_v3"] += 1
        if missing := [name for name in self._engine._types if name not in self._addresses]:
            return self._refuse(f"no address is set for {', '.join(missing)}")
        if not self._scratch[1]:
            raise self._cuda.defect("an enqueue without scratch memory")
        key = repr(sorted(self._shapes.items()))
        if key not in self._ran and self._cuda.is_capturing(stream_handle):
            raise self._cuda.defect("the first run on a shape, which allocates, while the stream is captured")
        self._ran[key] = self._ran.get(key, 0) + 1
        kernel = hashlib.sha256((self._engine._sha256 + key).encode()).hexdigest()
        cache = self._config._cache
        if cache is not None:
            self._cuda.calls["compile"] += kernel not in cache._kernels
            cache._kernels.add(kernel)
        run = _Run(self, exact=not self._config._is_lazy or self._ran[key] > 1)
        run.check()
        self._cuda.queue(stream_handle, run)
        return True

    def _sizes(self) -> list[tuple[str, int]]:
        shapes = {**self._shapes, **self._engine._output_shapes(self._shapes)}
        types = {name: np.dtype(nptype(self._engine._types[name])) for name in shapes}
        return [(name, int(np.prod(shape)) * types[name].itemsize) for name, shape in shapes.items()]

    def _refuse(self, message: str) -> bool:
        self._engine._runtime._say(f"IExecutionContext: Error Code 3: API Usage Error\n({message})")
        return False


class _Run:
    """Work for a stream: the model once, between the addresses that the context had when it was enqueued."""

    def __init__(self, context: IExecutionContext, *, exact: bool) -> None:
        """An inexact one has the last bits of a kernel that serves all shapes until the right one is compiled."""
        self._engine, self._cuda, self._exact = context._engine, context._cuda, exact
        self._shapes, self._scratch = dict(context._shapes), context._scratch
        self._spans = {name: (context._addresses[name], size) for name, size in context._sizes()}

    def check(self) -> None:
        """Everything is alive, large enough, and nothing is written where something else is."""
        self._cuda.device_bytes(*self._scratch)
        for name, (start, size) in self._spans.items():
            self._cuda.device_bytes(start, size)
            others = {**self._spans, "scratch memory": self._scratch}
            for other, (begin, length) in others.items():
                apart = start + size <= begin or begin + length <= start
                if other != name and not apart and {name, other} & {*self._engine._outputs, "scratch memory"}:
                    raise self._cuda.defect(f"{name} and {other} overlap")

    def __call__(self) -> None:
        self.check()
        inputs = {}
        for name, shape in self._shapes.items():
            dtype = nptype(self._engine._types[name])
            inputs[name] = self._cuda.device_bytes(*self._spans[name]).view(dtype).reshape(shape).copy()
        self._cuda.device_bytes(*self._scratch)[...] = _SPOILT
        for name, array in zip(self._engine._outputs, self._engine._session.run(None, inputs), strict=True):
            if not self._exact and array.dtype.kind == "f":
                array = np.nextafter(array, np.ones_like(array))
            self._cuda.device_bytes(*self._spans[name])[...] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
