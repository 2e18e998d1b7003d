"""ONNX Runtime, with whatever providers the installed build offers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from samuel_runtime.engines.backend import Backend, Bound
from samuel_runtime.engines.memory import memory_short, out_of_memory
from samuel_runtime.engines.offline import ORT_SILENT, import_onnxruntime
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider

onnxruntime = import_onnxruntime()

_NAMES = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.ORT_TENSORRT: "TensorrtExecutionProvider",
    Provider.ORT_RTX: "NvTensorRTRTXExecutionProvider",
    Provider.DIRECTML: "DmlExecutionProvider",
    Provider.COREML: "CoreMLExecutionProvider",
}
_PLATFORMS = {
    Provider.CUDA: ("linux", "win32"),
    Provider.ORT_TENSORRT: ("linux", "win32"),
    Provider.ORT_RTX: ("linux", "win32"),
    Provider.DIRECTML: ("win32",),
    Provider.COREML: ("darwin",),
}
"""Values of sys.platform for which there is a build; the processor is everywhere."""
_PLATFORM_NAMES = {"linux": "Linux", "win32": "Windows", "darwin": "macOS"}
_PACKAGES = {
    Provider.CUDA: "'samuel-deploy[gpu]'",
    Provider.ORT_TENSORRT: "'samuel-deploy[gpu]'",
    Provider.ORT_RTX: "samuel-deploy onnxruntime-trt-rtx",
    Provider.DIRECTML: "samuel-deploy onnxruntime-directml",
}
"""Builds in place of `onnxruntime`; the others are in every build for their platform."""
# Of ONNX Runtime's exceptions each is of its own; a call also raises what C++ throws (RuntimeError, MemoryError), and
# its Python part ValueError for the wrong inputs.
_RAISED: tuple[type[Exception], ...] = (
    *(
        found
        for found in vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
        if isinstance(found, type) and issubclass(found, Exception)
    ),
    RuntimeError,
    ValueError,
    MemoryError,
)
# The others have no bfloat16 kernels of convolutions.
_WITH_BF16 = (Provider.CUDA, Provider.ORT_TENSORRT, Provider.ORT_RTX)


class OnnxEngine:
    """A session on one provider."""

    def __init__(self, model: bytes, name: str, backend: Backend, threads: int | None = None) -> None:
        """Load the model.

        Args:
            model: a whole, self-contained ONNX file.
            name: what to call it in messages.
            backend: the provider; the precision is the model's own, since ONNX Runtime lowers nothing.
            threads: of one operator; None leaves it to ONNX Runtime: one per physical core that the process may use.

        Raises:
            UserError: the provider is not in this build or does not start, or the model is refused.
        """
        self.backend = backend
        if missing := unavailable_reason(backend):
            raise UserError(f"`provider='{backend.provider.value}'`: {missing}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ORT_SILENT
        # A pattern is one more block as large as all activations, for every shape: half as much again for Stable Audio
        # Open's decoder. Allocating without one takes no longer.
        options.enable_mem_pattern = False
        # From bytes, ONNX Runtime would also take its own format, which nothing here has checked.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # Its threads spin for more work, within a run and a million times after it: 50 ms on some processors, a second
        # on others, in which they take the cores from the next graph and from numpy. Within a run it pays.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if threads is not None:
            options.intra_op_num_threads = threads
        providers = [_NAMES[backend.provider]]
        if backend.provider is not Provider.CPU:
            providers.append(_NAMES[Provider.CPU])  # for the few operators that a GPU provider leaves out
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        except _RAISED as error:
            if memory_short(error):
                raise out_of_memory(name, "ONNX Runtime", "load") from error
            raise UserError(f"{name}: ONNX Runtime cannot load it ({error}); export the bundle again") from error
        # It keeps the file for falling back to other providers, which is not wanted here, as long as it lives.
        self._session._model_bytes = None
        self._name = name
        self.inputs = frozenset(entry.name for entry in self._session.get_inputs())
        self.outputs = tuple(entry.name for entry in self._session.get_outputs())
        if self._session.get_providers()[0] != providers[0]:
            raise UserError(
                f"`provider='{backend.provider.value}'`: it is in this ONNX Runtime but did not start; check the GPU's "
                "driver and libraries, or use `provider='cpu'`"
            )

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph: inputs by name, outputs by name.

        Raises:
            UserError: ONNX Runtime failed: other inputs than the graph has, too little memory, a lost device.
        """
        with self._explained():
            outputs = self._session.run(self.outputs, inputs)
        return dict(zip(self.outputs, outputs, strict=True))

    def bind(self, **inputs: np.ndarray) -> Bound:
        """Make these arrays the graph's inputs from now on.

        On a device with memory of its own each run copies its inputs there in any case, so nothing is bound.

        Raises:
            UserError: the graph does not take such inputs.
        """
        if self.backend.provider is not Provider.CPU:
            return _Copying(self, inputs)
        binding = self._session.io_binding()
        with self._explained():
            for name, array in inputs.items():
                binding.bind_cpu_input(name, array)
            for name in self.outputs:
                binding.bind_output(name)
        return _OnnxBound(self, binding, inputs)

    def run_bound(self, binding: Any) -> None:
        """Run on a binding of this session.

        Raises:
            UserError: as a call does.
        """
        with self._explained():
            self._session.run_with_iobinding(binding)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _RAISED as error:
            if memory_short(error):
                raise out_of_memory(self._name, "ONNX Runtime", "run") from error
            raise UserError(
                f"{self._name}: ONNX Runtime failed to run it ({error}); try `provider='cpu'`, or "
                "export the bundle again"
            ) from error


class _OnnxBound:
    """Inputs and outputs in the processor's memory, where ONNX Runtime reads and writes them itself."""

    def __init__(self, engine: OnnxEngine, binding: Any, inputs: dict[str, np.ndarray]) -> None:
        self._engine, self._binding = engine, binding
        self._inputs = inputs  # ONNX Runtime has only their addresses
        self._outputs: dict[str, np.ndarray] = {}

    def run(self) -> dict[str, np.ndarray]:
        """Run on what the bound inputs hold now; the next run overwrites the arrays that this one returns."""
        self._engine.run_bound(self._binding)
        if not self._outputs:
            # Allocated by the first run, written again by each later one: the shapes cannot change.
            values = self._binding.get_outputs()
            self._outputs = {name: value.numpy() for name, value in zip(self._engine.outputs, values, strict=True)}
        return self._outputs


class _Copying:
    """Inputs that each run copies to the device."""

    def __init__(self, engine: OnnxEngine, inputs: dict[str, np.ndarray]) -> None:
        self._engine, self._inputs = engine, inputs

    def run(self) -> dict[str, np.ndarray]:
        """Run on what the inputs hold now."""
        return self._engine(**self._inputs)


def available_providers() -> list[Provider]:
    """The providers of the installed ONNX Runtime build."""
    offered = onnxruntime.get_available_providers()
    return [provider for provider, name in _NAMES.items() if name in offered]


def unavailable_reason(backend: Backend) -> str:
    """Why this build cannot run a graph on that backend, and what to do; empty if it can be tried."""
    if backend.provider not in _NAMES:
        raise ValueError(f"{backend.provider.value} is no provider of ONNX Runtime")
    if backend.provider not in available_providers():
        return _how_to_add(backend.provider)
    if backend.precision is Precision.BF16 and backend.provider not in _WITH_BF16:
        return (
            f"ONNX Runtime has no bf16 arithmetic on {backend.provider.value}; use `provider='openvino'`, "
            "or export with `samuel-export --precision fp32`"
        )
    return ""


def _how_to_add(provider: Provider) -> str:
    platforms = _PLATFORMS.get(provider, (sys.platform,))
    if sys.platform not in platforms:
        systems = " and ".join(_PLATFORM_NAMES[name] for name in platforms)
        return f"there is none for this system, only for {systems}; use another"
    if provider not in _PACKAGES:
        return "not in this ONNX Runtime; put a whole one in its place with `pip install --force-reinstall onnxruntime`"
    # Two builds share one folder, so whichever is removed takes files of the other with it.
    python, pip = ("py", r"\Scripts\pip") if sys.platform == "win32" else ("python3", "/bin/pip")
    return (
        "not in this ONNX Runtime, and another build does not go beside it; make an environment for that with "
        f"`{python} -m venv samuel-gpu && samuel-gpu{pip} install {_PACKAGES[provider]}`"
    )
