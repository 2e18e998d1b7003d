"""TensorRT's timing cache, kept in the user's cache folder between builds."""

from __future__ import annotations

import hashlib
from typing import Any

from samuel_runtime.errors import UserError
from samuel_runtime.files import cache_file, replacing

_LARGEST_BYTES = 256 << 20


class TimingCache:
    """One file for a version of TensorRT, which tells GPUs apart inside it."""

    def __init__(self, version: str) -> None:
        name = hashlib.sha256(version.encode()).hexdigest()[:24]
        self._name = f"timings-{name}.bin"
        self._cache: Any = None  # must outlive the build

    def attach(self, config: Any) -> None:
        """Load the cache into a builder's configuration; an empty one where it is missing or damaged."""
        try:
            path = cache_file(self._name)
            known = path.read_bytes() if path.stat().st_size <= _LARGEST_BYTES else b""
        except OSError:
            known = b""
        self._cache = config.create_timing_cache(known)
        if self._cache is None and known:  # damaged
            self._cache = config.create_timing_cache(b"")
        if self._cache is not None:
            config.set_timing_cache(self._cache, ignore_mismatch=False)

    def keep(self, config: Any) -> None:
        """Write the configuration's cache after a build; failing to is no error."""
        cache = config.get_timing_cache()
        if cache is None:
            return
        try:
            path = cache_file(self._name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_bytes(bytes(cache.serialize()))
        except (OSError, UserError):
            return
