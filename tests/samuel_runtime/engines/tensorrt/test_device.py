"""Do engines fit a machine? One line says why not, and which command mends it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from samuel_runtime.bundle.manifest import Engines
from samuel_runtime.bundle.trust import is_trusted, trust
from samuel_runtime.engines.tensorrt import device
from samuel_runtime.engines.tensorrt import library as tensorrt_library
from samuel_runtime.engines.tensorrt.cuda import Cuda, Gpu
from samuel_runtime.engines.tensorrt.device import gpu_here, unfit_reason
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Flavor
from tests.support.runtime.fakes.engines import VERSION, sham_engines

ADA, HOPPER, TURING = (
    Gpu(name, capability, 24 << 30, "13.0")
    for name, capability in (("RTX 4090", (8, 9)), ("H100", (9, 0)), ("RTX 2080", (7, 5)))
)
BUILD = "`samuel-export --trt BUNDLE`"
Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Make this machine have a GPU and a library, or not; whatever it has here is trusted."""

    def make(gpu: Gpu | str = ADA, version: str = VERSION, *, installed: bool = True) -> None:
        def here() -> Gpu:
            if isinstance(gpu, str):
                raise UserError(gpu)
            return gpu

        monkeypatch.setattr(tensorrt_library, "is_installed", lambda flavor: installed)
        monkeypatch.setattr(device, "version_of", lambda flavor: version)
        monkeypatch.setattr(device, "gpu_here", here)
        monkeypatch.setattr(device, "is_trusted", lambda engines: True)

    return make


def classic(**changes: Any) -> Engines:
    return sham_engines(flavor=Flavor.CLASSIC, built_on=str(ADA), **changes)


def test_engines_that_fit_are_not_talked_about(machine: Machine) -> None:
    for gpu in (ADA, HOPPER):
        machine(gpu)
        assert unfit_reason(sham_engines()) == ""
    machine(ADA)
    assert unfit_reason(sham_engines(targets=("8.6", "8.9"))) == ""
    assert unfit_reason(classic()) == ""
    machine(TURING)
    assert unfit_reason(sham_engines(targets=("7.5",))) == ""


@pytest.mark.parametrize(
    ("engines", "here", "said"),
    [
        (None, {}, rf"^the bundle has no TensorRT engines; add them with {BUILD}$"),
        (sham_engines(), {"installed": False}, r"^its library tensorrt_rtx is not installed; .*\[rtx\]'`$"),
        (classic(), {"installed": False}, r"^its library tensorrt is not installed; add it with `pip .*\[trt\]'`$"),
        (sham_engines(), {"version": "1.8.0.1"}, rf"by version 1\.7\.0\.23 .* 1\.8\.0\.1 is installed; .*{BUILD}$"),
        (sham_engines(), {"gpu": "CUDA: there is no NVIDIA GPU; use another"}, r"^CUDA: there is no NVIDIA GPU"),
        (sham_engines(), {"gpu": TURING}, r"8\.0 and newer and this is RTX 2080 .*7\.5.*; .*--trt-target 7\.5`$"),
        (sham_engines(targets=("8.6",)), {}, rf"capability 8\.6 and this is RTX 4090 .* for any with {BUILD}$"),
        (sham_engines(targets=("8.9",)), {"gpu": HOPPER}, rf"capability 8\.9 and this is H100 .* any with {BUILD}$"),
        (classic(), {"gpu": HOPPER}, rf"for RTX 4090 .* and this is H100 .*; build them here .*{BUILD}$"),
    ],
    ids=["none", "no rtx", "no trt", "version", "no gpu", "older gpu", "target", "newer gpu", "another gpu"],
)  # fmt: skip
def test_why_they_do_not_fit_is_one_line(
    machine: Machine, engines: Engines | None, here: dict[str, Any], said: str
) -> None:
    machine(**here)
    line = unfit_reason(engines)
    assert "\n" not in line
    assert re.search(said, line), line


def test_strangers_engines_are_the_last_thing_to_say(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked to trust what could not run anyway."""
    for here, trusting in (({}, True), ({"version": "2"}, False), ({"gpu": TURING}, False), ({"gpu": "none"}, False)):
        machine(**here)
        monkeypatch.setattr(device, "is_trusted", lambda engines: False)
        assert ("--trust-engines" in unfit_reason(sham_engines())) == trusting


def test_the_versions_of_both_libraries_are_found_without_importing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(name: str) -> None:
        raise AssertionError(f"imported {name}")

    monkeypatch.setattr(tensorrt_library.importlib, "import_module", failing)
    there = {"tensorrt-rtx": "1.7", "tensorrt-cu13": "10.13"}

    def version(name: str) -> str:
        if name not in there:
            raise tensorrt_library.metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(tensorrt_library.metadata, "version", version)
    assert [tensorrt_library.version_of(flavor) for flavor in (Flavor.RTX, Flavor.CLASSIC)] == ["1.7", "10.13"]
    there.clear()
    assert tensorrt_library.version_of(Flavor.RTX) == ""


def test_a_gpu_that_is_missing_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who mends the driver need not start Python again; a GPU that is found stays."""
    asked = []

    def load() -> Any:
        asked.append(1)
        if len(asked) == 1:
            raise UserError("CUDA: there is no NVIDIA driver")
        return type("Found", (), {"gpu": ADA})()

    monkeypatch.setattr(Cuda, "load", load)
    gpu_here.cache_clear()
    try:
        with pytest.raises(UserError, match="driver"):
            gpu_here()
        assert gpu_here() is gpu_here() is ADA
        assert len(asked) == 2
    finally:
        gpu_here.cache_clear()


def test_trusting_mends_what_trust_was_missing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine()
    monkeypatch.setattr(device, "is_trusted", is_trusted)
    engines = sham_engines("of this test")
    assert "--trust-engines" in unfit_reason(engines)
    trust(engines)
    assert unfit_reason(engines) == ""
