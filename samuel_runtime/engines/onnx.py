"""ONNX Runtime, with whatever providers the installed build offers."""

from __future__ import annotations

import numpy as np
import onnxruntime

from samuel_runtime.choices import Provider
from samuel_runtime.errors import UserError

_NAMES = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.TENSORRT: "TensorrtExecutionProvider",
    Provider.OPENVINO: "OpenVINOExecutionProvider",
    Provider.DIRECTML: "DmlExecutionProvider",
    Provider.COREML: "CoreMLExecutionProvider",
}
INSTALL = {
    Provider.CPU: "pip install 'samuel-deploy[cpu]'",
    Provider.CUDA: "pip uninstall onnxruntime && pip install 'samuel-deploy[gpu]'",
    Provider.TENSORRT: "pip uninstall onnxruntime && pip install 'samuel-deploy[gpu]'",
    Provider.OPENVINO: "pip uninstall onnxruntime && pip install onnxruntime-openvino",
    Provider.DIRECTML: "pip uninstall onnxruntime && pip install onnxruntime-directml",
    Provider.COREML: "pip install onnxruntime (the macOS build has it)",
}


class OnnxEngine:
    """A session on one provider."""

    def __init__(self, model: bytes, name: str, provider: Provider, threads: int | None = None) -> None:
        """Load the model.

        Args:
            model: a whole, self-contained ONNX file.
            name: what to call it in messages.
            provider: where to run, not AUTO.
            threads: of one operator; None leaves it to ONNX Runtime (one per physical core).

        Raises:
            UserError: the provider is not in this build or does not start, or the model is refused.
        """
        self.provider: Provider = provider
        if self.provider not in available_providers():
            raise UserError(
                f"--provider {self.provider.value}: this ONNX Runtime has only "
                f"{', '.join(p.value for p in available_providers())}; add it with `{INSTALL[self.provider]}`"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # From bytes, ONNX Runtime would also take its own format, which nothing here has checked.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        if threads is not None:
            options.intra_op_num_threads = threads
        providers = [_NAMES[self.provider]]
        if self.provider is not Provider.CPU:
            providers.append(_NAMES[Provider.CPU])  # for the few operators that a GPU provider leaves out
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise UserError(f"{name}: ONNX Runtime cannot load it ({error}); export the bundle again") from error
        self._name = name
        self.inputs = frozenset(entry.name for entry in self._session.get_inputs())
        self.outputs = tuple(entry.name for entry in self._session.get_outputs())
        if self._session.get_providers()[0] != providers[0]:
            raise UserError(
                f"--provider {self.provider.value}: it is in this ONNX Runtime but did not start; check the GPU's "
                "driver and libraries, or use --provider cpu"
            )

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph: inputs by name, outputs by name.

        Raises:
            UserError: ONNX Runtime failed: other inputs than the graph has, too little memory, a lost device.
        """
        try:
            outputs = self._session.run(self.outputs, inputs)
        except Exception as error:  # as above
            raise UserError(
                f"{self._name}: ONNX Runtime failed to run it ({error}); try --provider cpu, or export the bundle again"
            ) from error
        return dict(zip(self.outputs, outputs, strict=True))


def available_providers() -> list[Provider]:
    """The providers of the installed ONNX Runtime build."""
    offered = onnxruntime.get_available_providers()
    return [provider for provider, name in _NAMES.items() if name in offered]
