"""Do a bundle's TensorRT engines fit this machine, and if so, open them on its GPU."""

from __future__ import annotations

from functools import lru_cache

from samuel_runtime.bundle.manifest import EngineFacts, Engines
from samuel_runtime.bundle.trust import is_trusted
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.tensorrt.cuda import Cuda, Gpu
from samuel_runtime.engines.tensorrt.engine import TensorRtEngine
from samuel_runtime.engines.tensorrt.kernel_cache import KernelCache
from samuel_runtime.engines.tensorrt.library import library, unavailable_reason, unsupported_reason, version_of
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Flavor, Provider

_BUILD = "`samuel-export --trt BUNDLE`"
_OLDEST_PORTABLE = (8, 0)


def unfit_reason(engines: Engines | None) -> str:
    """Why a bundle's engines cannot be tried here, and what to do; empty if they can."""
    if engines is None:
        if elsewhere := unsupported_reason():
            return elsewhere
        return f"the bundle has no TensorRT engines; add them with {_BUILD}"
    if missing := unavailable_reason(engines.flavor):
        return missing
    installed = version_of(engines.flavor)
    if installed != engines.version:
        return (
            f"the engines were built by version {engines.version} of their library and {installed} is installed; "
            f"build them again with {_BUILD}"
        )
    try:
        gpu = gpu_here()
    except UserError as error:
        return str(error)
    if unfit := _why_other_gpu(engines, gpu):
        return unfit
    if not is_trusted(engines):
        return "the engines, which are code, were not built by you; if you trust whoever did, add --trust-engines"
    return ""


@lru_cache(1)
def gpu_here() -> Gpu:
    """The machine's GPU.

    Raises:
        UserError: cuda-python, the driver or the GPU is missing.
    """
    return Cuda.load().gpu


class Device:
    """The GPU, with a bundle's engines to open."""

    def __init__(self, engines: Engines, cuda: Cuda | None = None) -> None:
        """Start CUDA and the library.

        Raises:
            UserError: either does not start.
        """
        self._engines, self.cuda = engines, cuda or Cuda.load()
        self._trt = library(engines.flavor)

    def open(self, facts: EngineFacts, engine: bytes, name: str) -> TensorRtEngine:
        """Open one of the engines.

        Args:
            facts: of the engine.
            engine: its file, whole and checked.
            name: what to call it in messages.

        Raises:
            UserError: the library refuses it.
        """
        cache = None
        if self._engines.flavor is Flavor.RTX:
            cache = KernelCache(facts.sha256, self.cuda.gpu, self._engines.version)
        backend = Backend(Provider.TENSORRT, self._engines.precision)
        return TensorRtEngine(engine, name, backend, self.cuda, self._trt, cache)


def _why_other_gpu(engines: Engines, gpu: Gpu) -> str:
    major, minor = gpu.capability
    if engines.flavor is Flavor.CLASSIC and engines.built_on != str(gpu):
        return f"the engines are for {engines.built_on} and this is {gpu}; build them here with {_BUILD}"
    if engines.flavor is Flavor.RTX and not engines.targets and gpu.capability < _OLDEST_PORTABLE:
        target = f"{_BUILD[:-1]} --trt-target {major}.{minor}`"
        return f"the engines are for compute capability 8.0 and newer and this is {gpu}; build them with {target}"
    if engines.targets and f"{major}.{minor}" not in engines.targets:
        targets = ", ".join(engines.targets)
        return f"the engines are for compute capability {targets} and this is {gpu}; build them for any with {_BUILD}"
    return ""
