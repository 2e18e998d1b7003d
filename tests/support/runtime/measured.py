"""Backends as `--doctor` would have measured them, without measuring."""

from __future__ import annotations

from samuel_runtime.engines.backend import Backend
from samuel_runtime.settings import Precision, Provider
from samuel_runtime.tuning.preference import Measurement
from samuel_runtime.tuning.speed import Speed

REFERENCE = Backend(Provider.CPU, Precision.FP32)
OTHER = Backend(Provider.OPENVINO, Precision.FP32)
LOWERED = Backend(Provider.OPENVINO, Precision.BF16)


def measurement(
    backend: Backend = REFERENCE, step_s: float = 0.02, *, load_s: float = 0.5, error: float = 0.0, passed: bool = True
) -> Measurement:
    """A backend on which a step takes so long, whatever the window's length."""
    speed = Speed(
        first_s=0.1, encode_s=0.001, window_s=0.01, step_s=step_s, short_step_s=step_s, decode_s=0.002
    )  # fmt: skip
    return Measurement(backend, load_s, speed, error, passed)
