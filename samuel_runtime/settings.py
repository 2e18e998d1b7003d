"""What a user chooses: the settings of a take, and the names of samplers, providers and precisions.

Light, so that `--help` need not load numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from samuel_runtime.errors import UserError


class Sampler(str, Enum):
    """How latents are drawn, see diffusion/samplers.py."""

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
    """What was measured as the fastest on this machine, see tuning/preference.py."""
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


@dataclass(frozen=True)
class Settings:
    """What may differ from one take to the next."""

    sampler: Sampler = DEFAULT_SAMPLER
    """How latents are drawn."""
    steps: int = DEFAULT_STEPS
    """Denoising steps per window."""
    guidance: float | None = None
    """How strongly the voice leads; None takes the bundle's default, 1.0 means no guidance."""
    seed: int = DEFAULT_SEED
    """Of the noise; the same seed gives the same take."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"--steps {self.steps}: at least one step is needed")
        if self.guidance is not None and not 0 <= self.guidance <= 100:
            raise UserError(f"--guidance {self.guidance}: must lie between 0 and 100")
