"""Bundles of low precision, and what lowering an exact one costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from samuel_export.bundle import verify_bundle, write_bundle
from samuel_export.precision.weights import WeightFormat
from samuel_runtime.bundle.manifest import GraphName, Manifest
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.engines import availability as backends
from samuel_runtime.engines.availability import probe_backends
from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Precision, Provider
from samuel_train.codec import Codec
from samuel_train.model.checkpoint import Checkpoint
from tests.support.export.sabotage import erase, tamper

pytestmark = pytest.mark.usefixtures("lowering")


def silent(line: str) -> None:
    pass


def write(source: tuple[Checkpoint, Codec], out: Path, precision: Precision) -> Path:
    return write_bundle(*source, out, WeightFormat.FP32, Guidance(2.0), silent, precision)


@pytest.mark.usefixtures("traced_codec")
# In bfloat16, which few processors have, OpenVINO compiles 45 graphs for it.
@pytest.mark.parametrize("precision", [Precision.FP16, pytest.param(Precision.BF16, marks=pytest.mark.slow)])
def test_a_bundle_of_low_precision_is_proven_and_says_so(
    bundle: Path, tmp_path: Path, source: tuple[Checkpoint, Codec], precision: Precision
) -> None:
    asked = Backend(Provider.CPU if precision is Precision.FP16 else Provider.OPENVINO, precision)
    exact = Manifest.read(bundle)
    typed = exact.model_copy(update={"graphs": {name: facts.model_copy(update={"precision": precision})
                                                for name, facts in exact.graphs.items()}})  # fmt: skip
    if missing := backends.unavailable_reason(asked, typed):
        pytest.skip(missing)
    out = write(source, tmp_path / "bundle", precision)
    manifest = Samuel.load(out, asked.provider).manifest
    assert manifest.precision is precision
    assert {name for name, facts in manifest.graphs.items() if facts.precision is Precision.FP32} == {
        GraphName.TIMESTEPS
    }
    assert manifest.parity["passed"] is True
    assert manifest.parity["lowered"] == {}
    errors = [entry["relative_l2"] for entry in manifest.parity["probes"] if entry["name"].startswith("step")]
    assert min(errors) > 1e-4  # else nothing was low
    assert sum(facts.size_bytes for facts in manifest.graphs.values()) < 0.72 * sum(
        facts.size_bytes for facts in exact.graphs.values()
    )
    assert verify_bundle(out, silent)
    tamper(out, "step", erase)
    assert not verify_bundle(out, silent)


@pytest.mark.usefixtures("traced_codec")
def test_a_precision_that_nothing_here_computes_in(
    tmp_path: Path, source: tuple[Checkpoint, Codec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(backend: Backend, manifest: Manifest) -> str:
        return "no kernels" if backend.provider is Provider.CPU else "OpenVINO is not installed; add it with `pip`"

    monkeypatch.setattr(backends, "unavailable_reason", missing)
    with pytest.raises(UserError, match=r"`precision='bf16'`: .* OpenVINO is not installed; add it with `pip`"):
        write(source, tmp_path / "bundle", Precision.BF16)
    assert list(tmp_path.iterdir()) == []


def test_the_report_says_what_lowering_costs_here(bundle: Path) -> None:
    manifest = Manifest.read(bundle)
    here = [
        str(found.backend)
        for found in probe_backends(manifest)
        if not found.missing and found.backend.precision != "fp32"
    ]
    assert list(manifest.parity["lowered"]) == here
    for numbers in manifest.parity["lowered"].values():
        assert set(numbers) == {"latent_snr_db", "log_mel", "passed"}
        assert 20 < numbers["latent_snr_db"] < 100  # not float32 under another name
