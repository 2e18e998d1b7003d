"""Bundles with engines that the fake TensorRT runs; all else about them is as for the true one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from samuel_export.tensorrt import add_engines as adding
from samuel_export.tensorrt.builder import Built
from samuel_runtime.bundle.manifest import ShapeRange
from samuel_runtime.settings import Flavor, Precision
from tests.support.runtime.fakes.tensorrt import VERSION, write_engine

Engined = Callable[[Precision], Path]
"""Precision of the engines -> the folder of the miniature bundle with them; read it only."""


def with_fake_engines(bundle: Path, folder: Path, precision: Precision) -> Path:
    """A copy of a bundle, with engines; that they compute what it does is what their users show."""
    shutil.copytree(bundle, folder)
    with pytest.MonkeyPatch.context() as patch:
        build_fakes(patch)
        patch.setattr(adding, "check_engine_graphs", lambda *given: {"passed": True})
        adding.add_engines(folder, precision, None, (), lambda line: None)
    return folder


def build_fakes(patch: pytest.MonkeyPatch) -> None:
    """Let `--trt` build engines for the fake library."""

    def build(
        model: bytes,
        name: str,
        profiles: Sequence[dict[str, ShapeRange]],
        flavor: Flavor,
        targets: Sequence[str],
    ) -> Built:
        shapes = [{key: (one.least, one.usual, one.most) for key, one in profile.items()} for profile in profiles]
        return Built(write_engine(model, shapes), 0.0, 0)

    patch.setattr(adding, "build", build)
    patch.setattr(adding, "check_builder", lambda flavor, targets: Flavor.RTX)
    patch.setattr(adding, "version_of", lambda flavor: VERSION)
