"""ONNX Runtime, with whatever providers the installed build offers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from samuel_runtime.engines.backend import Backend, Bound
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider

_NAMES = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.ORT_TENSORRT: "TensorrtExecutionProvider",
    Provider.ORT_RTX: "NvTensorRTRTXExecutionProvider",
    Provider.DIRECTML: "DmlExecutionProvider",
    Provider.COREML: "CoreMLExecutionProvider",
}
_INSTALL = {
    Provider.CPU: "pip install 'samuel-deploy[cpu]'",
    Provider.CUDA: "pip uninstall onnxruntime && pip install 'samuel-deploy[gpu]'",
    Provider.ORT_TENSORRT: "pip uninstall onnxruntime && pip install 'samuel-deploy[gpu]'",
    Provider.ORT_RTX: "pip uninstall onnxruntime && pip install onnxruntime-trt-rtx",
    Provider.DIRECTML: "pip uninstall onnxruntime && pip install onnxruntime-directml",
    Provider.COREML: "pip install onnxruntime (the macOS build has it)",
}
# The others have no bfloat16 kernels of convolutions.
_WITH_BF16 = (Provider.CUDA, Provider.ORT_TENSORRT, Provider.ORT_RTX)


class OnnxEngine:
    """A session on one provider."""

    def __init__(self, model: bytes, name: str, backend: Backend, threads: int | None = None) -> None:
        """Load the model.

        Args:
            model: a whole, self-contained ONNX file.
            name: what to call it in messages.
            way: the provider; the precision is the model's own, since ONNX Runtime lowers nothing.
            threads: of one operator; None leaves it to ONNX Runtime: one per physical core that the process may use.

        Raises:
            UserError: the provider is not in this build or does not start, or the model is refused.
        """
        self.backend = backend
        if missing := unavailable_reason(backend):
            raise UserError(f"`provider='{backend.provider.value}'`: {missing}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # A pattern is one more block as large as all activations, for every shape: half as much again for Stable Audio
        # Open's decoder. Allocating without one takes no longer.
        options.enable_mem_pattern = False
        # From bytes, ONNX Runtime would also take its own format, which nothing here has checked.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        if threads is not None:
            options.intra_op_num_threads = threads
        providers = [_NAMES[backend.provider]]
        if backend.provider is not Provider.CPU:
            providers.append(_NAMES[Provider.CPU])  # for the few operators that a GPU provider leaves out
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        except Exception as error:  # ONNX Runtime's exceptions share no base class
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
        try:
            outputs = self._session.run(self.outputs, inputs)
        except Exception as error:  # as above
            raise self._failed(error) from error
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
        try:
            for name, array in inputs.items():
                binding.bind_cpu_input(name, array)
            for name in self.outputs:
                binding.bind_output(name)
        except Exception as error:  # as above
            raise self._failed(error) from error
        return _OnnxBound(self, binding, inputs)

    def run_bound(self, binding: Any) -> None:
        """Run on a binding of this session.

        Raises:
            UserError: as a call does.
        """
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # as above
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> UserError:
        return UserError(
            f"{self._name}: ONNX Runtime failed to run it ({error}); try `provider='cpu'`, or export the bundle again"
        )


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
    """Why this build cannot run a graph in that way, and what to do; empty if it can be tried."""
    if backend.provider not in _NAMES:
        raise ValueError(f"{backend.provider.value} is no provider of ONNX Runtime")
    if backend.provider not in available_providers():
        return f"not in this ONNX Runtime; add it with `{_INSTALL[backend.provider]}`"
    if backend.precision is Precision.BF16 and backend.provider not in _WITH_BF16:
        return (
            f"ONNX Runtime has no bf16 arithmetic on {backend.provider.value}; use `provider='openvino'`, "
            "or export with `samuel-export --precision fp32`"
        )
    return ""
