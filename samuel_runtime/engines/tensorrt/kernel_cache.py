"""Kernels that TensorRT for RTX compiled on this machine, kept in the user's cache folder for the next start."""

from __future__ import annotations

import hashlib
from typing import Any

from samuel_runtime.engines.tensorrt.cuda import Gpu
from samuel_runtime.errors import UserError
from samuel_runtime.files import cache_file, replacing

_LARGEST_BYTES = 256 << 20


class KernelCache:
    """One file for an engine, a GPU and a library; that it cannot be read or kept costs time, nothing else."""

    def __init__(self, engine_sha256: str, gpu: Gpu, version: str) -> None:
        """Name the file: another engine, GPU, driver or library compiles other kernels."""
        identity = "\n".join([engine_sha256, gpu.name, str(gpu.capability), gpu.driver, version])
        name = hashlib.sha256(identity.encode()).hexdigest()[:24]
        self._name = f"kernels-{name}.bin"
        self._cache: Any = None
        self._read = b""

    def attach(self, config: Any) -> None:
        """Give a runtime configuration these kernels, and take what it will compile."""
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            self._read = self._stored()
            if self._read and not self._cache.deserialize(self._read):
                self._read = b""
        config.set_runtime_cache(self._cache)

    def keep(self) -> None:
        """Write what was compiled since."""
        if self._cache is None:
            return
        kernels = bytes(self._cache.serialize())
        if kernels == self._read or len(kernels) > _LARGEST_BYTES:
            return
        try:
            path = cache_file(self._name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_bytes(kernels)
            self._read = kernels
        except (OSError, UserError):
            return

    def _stored(self) -> bytes:
        try:
            path = cache_file(self._name)
            return path.read_bytes() if path.stat().st_size <= _LARGEST_BYTES else b""
        except OSError:
            return b""
