"""What numbers were measured on: the machine, its software, and how fast it multiplies matrices."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

_PACKAGES = ("torch", "onnxruntime", "onnxruntime-gpu", "openvino", "numpy")
_PEAK_SIZE = 2048
"""Side of the multiplied matrices: large enough that the processor is the limit, not memory."""
_PEAK_ROUNDS = 20


@dataclass(frozen=True)
class Machine:
    """A machine and its measured peaks."""

    processor: str
    """Its model's name."""
    cores: int
    """Logical cores that this process may use."""
    threads: int
    """Of every runner of every pair."""
    memory_gb: float
    """Main memory in GiB; 0 where it cannot be told."""
    system: str
    """Operating system and Python."""
    gpu: str
    """The NVIDIA GPU's name, or empty."""
    versions: dict[str, str]
    """Installed libraries."""
    peak_gflops: dict[str, float]
    """10^9 floating point operations a second in the best of several matrix products, by PyTorch type."""

    def describe(self) -> str:
        """One line."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        peaks = ", ".join(f"{dtype} {peak:.0f} GFLOP/s" for dtype, peak in self.peak_gflops.items())
        return (
            f"{self.processor}, {self.cores} cores, {self.threads} threads, {self.memory_gb:.0f} GB"
            f"{f', {self.gpu}' if self.gpu else ''}, {self.system}, {versions}; measured matrix peak: {peaks}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@functools.cache
def this_machine() -> Machine:
    """Describe and measure this machine, once per process; takes about five seconds."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        memory_gb=_memory_gb(),
        system=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        versions=_versions(),
        peak_gflops={name: _peak_gflops(dtype) for name, dtype in _types().items()},
    )


def _types() -> dict[str, torch.dtype]:
    types = {"float32": torch.float32}
    if "avx512_bf16" in _cpu_flags():  # elsewhere PyTorch emulates it, which says nothing about the machine
        types["bfloat16"] = torch.bfloat16
    return types


def _peak_gflops(dtype: torch.dtype) -> float:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, _PEAK_SIZE, _PEAK_SIZE, generator=generator).to(dtype)
    out = torch.empty_like(a)  # kept, so that no page is fetched while the clock runs
    torch.matmul(a, b, out=out)
    seconds = []
    for _ in range(_PEAK_ROUNDS):
        start = perf_counter()
        torch.matmul(a, b, out=out)
        seconds.append(perf_counter() - start)
    return 2 * _PEAK_SIZE**3 / min(seconds) / 1e9


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _memory_gb() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return 0.0


def _processor() -> str:
    names = [line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cpu_flags() -> list[str]:
    return next((line.split() for line in _cpu_lines() if line.startswith("flags")), [])


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
