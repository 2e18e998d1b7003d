"""What a number was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import onnxruntime
import torch


def describe() -> str:
    """Processor, cores and versions in one line."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
