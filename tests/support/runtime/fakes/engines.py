"""Engines that no library would load, for what happens before one is asked to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from samuel_runtime.bundle.manifest import (
    ENGINE_GRAPHS,
    MANIFEST_NAME,
    SCHEMA_VERSION,
    EngineFacts,
    Engines,
    GraphName,
    Manifest,
    ShapeRange,
)
from samuel_runtime.settings import Flavor, Precision

VERSION = "1.7.0.23"


def sham_engines(content: str = "sham", **changes: Any) -> Engines:
    """Facts of four engines for the portable targets; ``content`` is what their files begin with."""
    files = {}
    for name in (one for one in GraphName if one in ENGINE_GRAPHS):
        data = sham_engine(name, content)
        shape = ShapeRange(least=(1, 64, 16), usual=(1, 64, 1024), most=(8, 64, 1024))
        files[name] = EngineFacts(
            file=f"{name.value}.engine", sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data),
            profiles=({"x": shape},), build_s=1.5, source_sha256="0" * 64,
        )  # fmt: skip
    usual = {"flavor": Flavor.RTX, "version": VERSION, "precision": Precision.FP16, "targets": (), "built_on": ""}
    return Engines(**{**usual, "files": files, **changes})


def sham_engine(name: GraphName, content: str = "sham") -> bytes:
    """One of their files."""
    return f"{content} {name.value}".encode()


def add_sham_engines(bundle: Path, content: str = "sham", **changes: Any) -> Manifest:
    """Add such engines to a bundle, in whose manifest everything holds."""
    engines = sham_engines(content, **changes)
    for name, facts in engines.files.items():
        (bundle / facts.file).write_bytes(sham_engine(name, content))
    manifest = Manifest.read(bundle)
    manifest = manifest.model_copy(update={"schema_version": SCHEMA_VERSION, "engines": engines})
    (bundle / MANIFEST_NAME).write_text(manifest.to_json())
    return manifest
