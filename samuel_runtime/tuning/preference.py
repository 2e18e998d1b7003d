"""What `--doctor` measured for a bundle on this machine: what `--provider auto` and `--target-s` go by."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.engines.availability import backends_of, probe_backends, unavailable_reason
from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.files import cache_file, replacing
from samuel_runtime.tuning.speed import Seconds, Speed

_FORMAT = "2"  # another one wherever the meaning of what is kept changes
_ENGINES = (
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "openvino", "tensorrt-rtx", "tensorrt", "cuda-python",
)  # fmt: skip


@dataclass(frozen=True)
class Measurement:
    """One backend, measured on this machine."""

    backend: Backend
    """Provider and precision."""
    load_s: Seconds
    """Opening the bundle, graphs and all."""
    speed: Speed
    """How fast it runs then."""
    error: Annotated[float, Field(ge=0)]
    """Relative L2 distance of its latents from the reference backend's; 0 for the reference itself."""
    passed: bool
    """Whether it agrees with the reference, see tuning/agreement.py."""


@dataclass(frozen=True)
class _Kept:
    """What a file of the cache holds."""

    engines: dict[str, str]
    """Versions of the engines that were measured; with others the numbers no longer hold."""
    measurements: list[Measurement]
    """Empty if the user was only told that there is something to measure."""


def remember(manifest: Manifest, measurements: list[Measurement]) -> None:
    """Keep what was measured of a bundle; that it cannot be kept is no failure."""
    try:
        path = _path(manifest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(_FILE.dump_json(_Kept(engine_versions(), measurements), indent=1))
    except (OSError, UserError):
        return


def recall(manifest: Manifest) -> list[Measurement] | None:
    """What was kept for a bundle on this machine, with these engines; None if nothing was, or it is damaged."""
    kept = _read(manifest)
    return None if kept is None or kept.engines != engine_versions() else kept.measurements


def fastest(manifest: Manifest, measurements: list[Measurement]) -> Measurement | None:
    """The one that makes a full window soonest, of those that agree with the reference."""
    frames = manifest.model.frames
    passed = [m for m in measurements if m.passed and m.backend in backends_of(manifest)]
    return min(passed, key=lambda m: m.speed.song_s(manifest, frames, manifest.model.steps), default=None)


def preferred(bundle: Bundle) -> Backend | None:
    """What `--provider auto` takes if it can still run; None before anything was measured."""
    best = fastest(bundle.manifest, recall(bundle.manifest) or [])
    return None if best is None else best.backend


def remark(manifest: Manifest, taken: Backend) -> str:
    """What a user should know about the backend that `--provider auto` has taken; empty if there is nothing to say.

    That other backends could be measured is said once for a bundle, a machine and its engines.
    """
    kept = _read(manifest)
    best = None if kept is None else fastest(manifest, kept.measurements)
    if best is not None and best.backend != taken and (missing := unavailable_reason(best.backend, manifest)):
        return f"this ran on {taken}, since {best.backend}, which was the fastest, is gone: {missing}"
    if recall(manifest) is not None:
        return ""
    others = [found.backend for found in probe_backends(manifest) if not found.missing and found.backend != taken]
    if not others:
        return ""
    remember(manifest, [])
    choices = " or ".join(str(backend) for backend in others)
    return f"this ran on {taken}; `samuel-run --doctor` measures whether {choices} is faster here"


def engine_versions() -> dict[str, str]:
    """The installed engines, by distribution."""
    installed = {}
    for name in _ENGINES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _read(manifest: Manifest) -> _Kept | None:
    try:
        return _FILE.validate_json(_path(manifest).read_bytes())
    except (OSError, ValueError):
        return None


def _path(manifest: Manifest) -> Path:
    """One file per bundle and machine."""
    engines = {} if manifest.engines is None else manifest.engines.files
    files = [file.sha256 for file in (*manifest.graphs.values(), *engines.values())]
    identity = [_FORMAT, *files, platform.node(), platform.machine(), str(os.cpu_count())]
    name = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:24]
    return cache_file(f"backends-{name}.json")


_FILE = TypeAdapter(_Kept)
