"""TensorRT engines through its own runtime and cuda-python: no ONNX Runtime, no PyTorch between them and the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from samuel_runtime.engines.backend import Backend, Bound
from samuel_runtime.engines.tensorrt.cuda import Cuda, Memory
from samuel_runtime.engines.tensorrt.kernel_cache import KernelCache
from samuel_runtime.engines.tensorrt.library import last_error, logger_of
from samuel_runtime.errors import UserError

Shapes = Mapping[str, tuple[int, ...]]


class TensorRtEngine:
    """A deserialised engine."""

    def __init__(
        self, engine: bytes, name: str, backend: Backend, cuda: Cuda, trt: Any, cache: KernelCache | None
    ) -> None:
        """Deserialise an engine.

        Args:
            engine: a whole file, of this flavour and version, from a trusted bundle: engines are code.
            name: what to call it in messages.
            backend: how it runs.
            cuda: the device.
            trt: the flavour's module.
            cache: kernels that this machine has compiled for it before; None where the flavour compiles none.

        Raises:
            UserError: the library refuses it.
        """
        self.backend, self.name, self.cuda = backend, name, cuda
        self._trt, self._logger, self._cache = trt, logger_of(trt), cache
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise UserError(
                f"{name}: TensorRT {trt.__version__} cannot load it on {cuda.gpu} ({last_error(self._logger)}); "
                "build it again with `samuel-export --trt BUNDLE`"
            )
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        given = {name for name in names if self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT}
        self.inputs = frozenset(given)
        self.outputs = tuple(name for name in names if name not in given)
        self.types = {name: np.dtype(trt.nptype(self._engine.get_tensor_dtype(name))) for name in names}

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the engine: inputs by name, outputs by name, in arrays of their own.

        Raises:
            UserError: the engine takes no such inputs, or the device fails.
        """
        return {name: value.copy() for name, value in self.bind(**inputs).run().items()}

    def bind(self, **inputs: np.ndarray) -> Bound:
        """Make these arrays the engine's inputs from now on; a run copies them to the device.

        Raises:
            UserError: the engine takes no such inputs, or the device has too little memory.
        """
        with self.cuda.lock:
            return _Copied(self, inputs)

    def execution(self, shapes: Shapes) -> Execution:
        """A context of its own for inputs of these shapes.

        Raises:
            UserError: no profile of the engine has them, or the device has too little memory.
        """
        return Execution(self, self._context(), self._profile_of(shapes), shapes)

    def keep_kernels(self) -> None:
        """Keep what was compiled for the next start."""
        if self._cache is not None:
            self._cache.keep()

    def failed(self, what: str) -> UserError:
        """Something that TensorRT refused, in its own words."""
        return UserError(f"{self.name}: {what} ({last_error(self._logger)}); try `provider='cpu'`")

    def _context(self) -> Any:
        """An execution context whose scratch memory is ours, which a captured stream needs."""
        trt, config = self._trt, self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if self._cache is not None:
            # Kernels for a shape are compiled before the first run: compiled behind its back ("lazy"), they would
            # change between one run and the next, and with them the last bits of the result.
            eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
            config.dynamic_shapes_kernel_specialization_strategy = eager
            self._cache.attach(config)
        context = self._engine.create_execution_context(config)
        if context is None:
            raise self.failed("the device cannot run it")
        return context

    def _profile_of(self, shapes: Shapes) -> int:
        if set(shapes) != self.inputs:
            raise UserError(f"{self.name}: takes {sorted(self.inputs)}, not {sorted(shapes)}; export the bundle again")
        engine, ranges = self._engine, {}
        for profile in range(engine.num_optimization_profiles):
            ranges = {name: engine.get_tensor_profile_shape(name, profile) for name in shapes}
            if all(_within(shape, ranges[name]) for name, shape in shapes.items()):
                return profile
        wrong = [name for name, shape in shapes.items() if not _within(shape, ranges[name])]
        said = ", ".join(f"{name} {shapes[name]} (at most {tuple(ranges[name][2])})" for name in wrong)
        raise UserError(f"{self.name}: was not built for {said}; use `provider='cpu'`, or fewer takes at a time")


class Execution:
    """An engine on inputs of fixed shapes: give it addresses, then enqueue it as often as you like."""

    def __init__(self, engine: TensorRtEngine, context: Any, profile: int, shapes: Shapes) -> None:
        """Take a fresh context and the profile that has these shapes."""
        self._engine, self._context = engine, context
        stream = int(engine.cuda.stream)
        if not context.set_optimization_profile_async(profile, stream):
            raise engine.failed(f"profile {profile} cannot be set")
        for name, shape in shapes.items():
            if not context.set_input_shape(name, shape):
                raise engine.failed(f"{name} cannot be {shape}")
        try:
            missing = context.infer_shapes()
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise UserError(
                f"{engine.name}: its inputs' shapes do not fit each other ({said}); try `provider='cpu'`"
            ) from error
        if missing:
            raise engine.failed(f"the shapes of {', '.join(missing)} do not follow from its inputs'")
        self.output_shapes = {name: tuple(context.get_tensor_shape(name)) for name in engine.outputs}
        self._scratch = self._allocated_scratch()
        self._stream, self._has_run = stream, False

    def address(self, **addresses: int) -> None:
        """Where inputs are read and outputs written from the next :meth:`enqueue` on."""
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise self._engine.failed(f"{name} cannot be at {address:#x}")

    def enqueue(self) -> None:
        """Run once, in the stream's order.

        Raises:
            UserError: TensorRT refuses.
        """
        if not self._context.execute_async_v3(self._stream):
            raise self._engine.failed("it does not run")
        if not self._has_run:  # which compiled what these shapes need
            self._engine.keep_kernels()
            self._has_run = True

    def check_capturable(self) -> None:
        """Raise a UserError if runs of this shape cannot become part of a CUDA graph."""
        check = getattr(self._context, "is_stream_capturable", None)  # older libraries find out while capturing
        if check is not None and not check(self._stream):
            raise self._engine.failed("it cannot be captured in a CUDA graph")

    def _allocated_scratch(self) -> Memory:
        size = max(int(self._context.update_device_memory_size_for_shapes()), 1)
        scratch = self._engine.cuda.allocate(size)
        self._context.set_device_memory(scratch.address, size)
        return scratch


class _Copied:
    """An engine whose inputs and outputs are the host's: each run copies them over and back."""

    def __init__(self, engine: TensorRtEngine, inputs: dict[str, np.ndarray]) -> None:
        self._cuda, self._inputs = engine.cuda, inputs
        self._execution = engine.execution({name: array.shape for name, array in inputs.items()})
        shapes = {name: array.shape for name, array in inputs.items()} | self._execution.output_shapes
        self._host = {name: self._cuda.pinned(shape, engine.types[name]) for name, shape in shapes.items()}
        self._device = {name: self._cuda.allocate(max(array.nbytes, 1)) for name, array in self._host.items()}
        self._execution.address(**{name: memory.address for name, memory in self._device.items()})
        self._outputs = {name: self._host[name] for name in engine.outputs}

    def run(self) -> dict[str, np.ndarray]:
        """Run on what the bound inputs hold now; the next run overwrites the arrays that this one returns."""
        with self._cuda.lock:
            for name, array in self._inputs.items():
                self._host[name][...] = array
                self._cuda.upload(self._device[name].address, self._host[name])
            self._execution.enqueue()
            for name, array in self._outputs.items():
                self._cuda.download(array, self._device[name].address)
            self._cuda.synchronize()
        return self._outputs


def _within(shape: tuple[int, ...], profile: Any) -> bool:
    least, _, most = (tuple(one) for one in profile)
    return len(shape) == len(least) and all(a <= size <= b for a, size, b in zip(least, shape, most, strict=True))
