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
    """Second order, deterministic: the fewest steps."""


class Provider(str, Enum):
    """Where graphs run, see engines/."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
    DIRECTML = "directml"
    COREML = "coreml"


DEFAULT_SAMPLER = Sampler.DPM_SOLVER_2M
DEFAULT_STEPS = 25
DEFAULT_SEED = 0
MOST_STEPS = 800
