"""Names that the command line offers; light, so that `--help` need not load numpy."""

from __future__ import annotations

from enum import Enum


class Sampler(str, Enum):
    """How latents are drawn, see samplers.py."""

    ANCESTRAL = "ancestral"
    """The paper's, meant for all 800 steps."""
    DDIM = "ddim"
    """First order, deterministic."""
    DPM_SOLVER_2M = "dpm++2m"
    """Second order, deterministic."""
    UNIPC = "unipc"
    """dpm++2m with a corrector, deterministic: the fewest steps."""


class Provider(str, Enum):
    """Where graphs run, see engines/."""

    AUTO = "auto"
    """What was measured as the fastest on this machine, see preference.py."""
    CPU = "cpu"
    """ONNX Runtime on the processor: runs everywhere, and is what every other way is compared with."""
    OPENVINO = "openvino"
    """OpenVINO on the processor."""
    CUDA = "cuda"
    """ONNX Runtime on an NVIDIA GPU."""
    TENSORRT = "tensorrt"
    """The bundle's own TensorRT engines on an NVIDIA GPU, the whole loop in one CUDA graph."""
    ORT_TENSORRT = "ort-tensorrt"
    """ONNX Runtime's TensorRT provider."""
    ORT_RTX = "ort-rtx"
    """ONNX Runtime's provider of TensorRT for RTX."""
    DIRECTML = "directml"
    """ONNX Runtime on any GPU under Windows."""
    COREML = "coreml"
    """ONNX Runtime on Apple's processors."""


class Precision(str, Enum):
    """The arithmetic of a graph; the one a bundle's graphs are typed in, or the one an engine lowers them to."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"


class Flavor(str, Enum):
    """Which TensorRT an engine is for."""

    RTX = "rtx"
    """TensorRT for RTX: built anywhere, runs on any GPU of its targets, compiles its kernels there."""
    CLASSIC = "classic"
    """TensorRT: built on the GPU that it is for."""


DEFAULT_SAMPLER = Sampler.UNIPC
DEFAULT_STEPS = 16
DEFAULT_SEED = 0
MOST_STEPS = 800
