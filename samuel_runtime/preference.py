"""What `--provider auto` takes: the way that `--doctor` measured as fastest for this bundle here, else the CPU."""

from __future__ import annotations

import hashlib
import json
import platform
from pathlib import Path

import onnxruntime
import platformdirs

from samuel_runtime.bundle import Bundle
from samuel_runtime.choices import Provider
from samuel_runtime.engines.onnx import available_providers
from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing


def remember(bundle: Bundle, provider: Provider) -> None:
    """Keep the choice for this bundle on this machine; not being able to is no failure."""
    path = _path(bundle)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps({"provider": provider.value}))
    except (OSError, UserError):
        return


def preferred(bundle: Bundle) -> Provider:
    """The remembered choice if it can still run, else the CPU."""
    try:
        provider = Provider(json.loads(_path(bundle).read_text())["provider"])
    except (OSError, ValueError, KeyError, TypeError):
        return Provider.CPU
    return provider if provider in available_providers() else Provider.CPU


def _path(bundle: Bundle) -> Path:
    """One file per bundle, machine and ONNX Runtime build: a change of any asks for a new measurement."""
    identity = [*(graph.sha256 for graph in bundle.manifest.graphs.values()), platform.node(), onnxruntime.__version__]
    name = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:24]
    return Path(platformdirs.user_cache_dir("samuel")) / f"provider-{name}.json"
