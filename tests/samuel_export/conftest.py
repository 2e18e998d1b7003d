"""Fixtures of the export's tests."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path

import onnx
import pytest

from samuel_export import bundle as package
from samuel_export.parity import check
from samuel_train.codec import Codec, load_codec
from samuel_train.model.checkpoint import Checkpoint, load_checkpoint
from tests.support.export.timestep_tables import remember_factors
from tests.support.miniature import miniature_bundle, short_reports
from tests.support.shared import hinted, made_once


def shorter_reports(patch: pytest.MonkeyPatch) -> None:
    """The miniature's short reports with windows and chunks of the codec that are shorter, too: most tests here make
    or verify a bundle, and few run one."""
    short_reports(patch)
    patch.setattr("samuel_export.bundle.DEFAULT_STEPS", 3)
    patch.setattr("samuel_export.metadata.WINDOW_FRAMES", 128)
    patch.setattr("samuel_export.metadata._FRAMES", 32)
    patch.setattr("samuel_export.parity.cases._SONG_FRAMES", 40)  # two chunks of the codec
    patch.setattr("samuel_export.parity.cases._TRAJECTORY_FRAMES", 40)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature bundle whose report is shorter than that of other packages' tests; read it only."""

    make = partial(miniature_bundle, reports=shorter_reports)
    return hinted(made_once(tmp_path_factory, "exported", make) / "bundle")


@pytest.fixture(autouse=True)
def _short_reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exported and verified beside the miniature bundle has reports as short as its own."""
    if "bundle" in request.fixturenames:
        shorter_reports(monkeypatch)


@pytest.fixture(autouse=True)
def _no_lowering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lower arithmetic costs is told, and decides nothing: it is measured where a test is about it."""
    if "lowering" not in request.fixturenames:
        monkeypatch.setattr(check, "compare_lowered", lambda folder, say: {})


@pytest.fixture
def lowering() -> None:
    """Have exports and verifications measure what lower arithmetic costs."""


@pytest.fixture(scope="session", autouse=True)
def _remembered_factors() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        remember_factors(patch)
        yield


@pytest.fixture(scope="session")
def _loaded(bundle: Path) -> tuple[Checkpoint, Codec]:
    return load_checkpoint(bundle.parent / "checkpoint.safetensors"), load_codec(bundle.parent / "codec")


@pytest.fixture
def source(_loaded: tuple[Checkpoint, Codec]) -> tuple[Checkpoint, Codec]:
    """What the session's bundle was made from."""
    return deepcopy(_loaded)


@pytest.fixture
def traced_codec(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Export the miniature codec without tracing it anew: its graphs come from the session's bundle."""
    for half in ("encoder", "decoder"):
        graph = onnx.load(bundle / f"{half}.onnx")
        monkeypatch.setattr(package, f"{half}_graph", lambda codec, graph=graph: graph)
