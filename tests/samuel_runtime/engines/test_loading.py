"""From a bundle and a backend to its parts: which files each opens, and what is said when one is not in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import ENGINE_GRAPHS, GraphName
from samuel_runtime.diffusion.denoiser import Denoiser
from samuel_runtime.engines import loading
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_parts
from samuel_runtime.engines.tensorrt import device
from samuel_runtime.engines.tensorrt.denoiser import DeviceDenoiser
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider
from tests.support.runtime.bad_bundles import edit
from tests.support.runtime.fakes.engines import add_sham_engines, sham_engine

CPU, TENSORRT = Backend(Provider.CPU, Precision.FP32), Backend(Provider.TENSORRT, Precision.FP16)


class LatentCrops:
    """A device on which any engine opens."""

    cuda = SimpleNamespace()

    def __init__(self, *_: object) -> None:
        self.opened: dict[str, bytes] = {}
        SHELVES.append(self)

    def open(self, facts: Any, engine: bytes, name: str) -> SimpleNamespace:
        assert Path(name).name == facts.file
        self.opened[facts.file] = engine
        return SimpleNamespace()


SHELVES: list[LatentCrops] = []


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Callable[[], LatentCrops]:
    """The last device that was started."""
    SHELVES.clear()
    monkeypatch.setattr(device, "Device", LatentCrops)
    return lambda: SHELVES[-1]


def test_a_way_of_graphs_opens_all_of_them_and_no_engine(bundle_copy: Path, shelf: Callable[[], LatentCrops]) -> None:
    add_sham_engines(bundle_copy)
    for name in ENGINE_GRAPHS:
        (bundle_copy / f"{name.value}.engine").unlink()
    _, denoiser = open_parts(Bundle.open(bundle_copy), CPU, 1)
    assert isinstance(denoiser, Denoiser) and denoiser.backend == CPU
    assert not SHELVES


def test_engines_are_opened_each_from_its_own_file(bundle_copy: Path, shelf: Callable[[], LatentCrops]) -> None:
    """Of the graphs, only that of the timesteps is read: it has no engine."""
    add_sham_engines(bundle_copy)
    for name in ENGINE_GRAPHS:
        (bundle_copy / f"{name.value}.onnx").unlink()
    _, denoiser = open_parts(Bundle.open(bundle_copy), TENSORRT, 1)
    assert isinstance(denoiser, DeviceDenoiser) and denoiser.backend == TENSORRT
    assert shelf().opened == {f"{name.value}.engine": sham_engine(name) for name in ENGINE_GRAPHS}
    (bundle_copy / "timesteps.onnx").unlink()
    with pytest.raises(UserError, match=r"timesteps\.onnx"):
        open_parts(Bundle.open(bundle_copy), TENSORRT, 1)


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("name", sorted(ENGINE_GRAPHS))
def test_an_engine_that_changed_is_never_opened(bundle_copy: Path, name: GraphName) -> None:
    add_sham_engines(bundle_copy)
    (bundle_copy / f"{name.value}.engine").write_bytes(sham_engine(name).upper())
    with pytest.raises(UserError, match=rf"{name.value}\.engine: .*SHA-256"):
        open_parts(Bundle.open(bundle_copy), TENSORRT, 1)
    assert f"{name.value}.engine" not in SHELVES[-1].opened


@pytest.mark.usefixtures("shelf")
def test_a_bundle_without_engines_says_what_adds_them(bundle: Path) -> None:
    with pytest.raises(UserError, match="has no TensorRT engines; add them with `samuel-export --trt BUNDLE`"):
        open_parts(Bundle.open(bundle), TENSORRT, 1)
    assert not SHELVES


def test_a_graph_that_is_another_than_its_manifest_says(bundle_copy: Path) -> None:
    def rename(values: dict[str, Any]) -> None:
        for side, graph in (("outputs", "timesteps"), ("inputs", "step")):
            tensors = values["graphs"][graph][side]
            (film,) = [tensor for tensor in tensors if tensor["name"] == "film"]
            film["name"] = "movie"

    edit(bundle_copy, rename)
    with pytest.raises(UserError, match=r"timesteps\.onnx: has other inputs or outputs than its manifest says"):
        open_parts(Bundle.open(bundle_copy), CPU, 1)


@pytest.mark.parametrize("together", [0, 1 << 40])
def test_large_codecs_are_read_before_any_work(
    bundle_copy: Path, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_TOGETHER_BYTES", together)
    (bundle_copy / "decoder.onnx").write_bytes(b"")
    with pytest.raises(UserError, match=r"decoder\.onnx"):
        open_parts(Bundle.open(bundle_copy), CPU, 1)
