"""An estimator in a bundle: proven, heard by the runtime, and refused where it is broken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from samuel_export import cli, estimator
from samuel_export.parity.compare import ParityError
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_estimator
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import ACTIVATION_SIZES
from samuel_runtime.melody import MelodyTracks, melody_features
from samuel_runtime.settings import Precision, Provider
from samuel_train.listen.checkpoint import EstimatorCheckpoint, load_estimator, save_estimator
from samuel_train.listen.config import EstimatorConfig
from samuel_train.listen.network import EstimatorNetwork
from tests.support.export.sabotage import edit_manifest, nudge, tamper

CPU = Backend(Provider.CPU, Precision.FP32)


def checkpoint_in(folder: Path) -> Path:
    """A small estimator in which every weight matters."""
    torch.manual_seed(4)
    network = EstimatorNetwork(EstimatorConfig(width=8, octaves=3, stacks=2))
    weights = {
        name: weight + 0.1 * torch.rand_like(weight) if weight.is_floating_point() else weight
        for name, weight in network.state_dict().items()
    }
    path = folder / "estimator.safetensors"
    save_estimator(path, EstimatorCheckpoint(network.config, weights, {"training": "random"}))
    return path


def test_it_hears_what_pytorch_hears(bundle_copy: Path, tmp_path: Path) -> None:
    path = checkpoint_in(tmp_path)
    with pytest.raises(UserError, match="has no estimator"):
        open_estimator(Bundle.open(bundle_copy), CPU, 1)
    ran = CliRunner().invoke(cli.command, [str(bundle_copy), "--estimator", str(path), "-o", str(tmp_path / "new")])
    assert ran.exit_code == 0, ran.output
    old, new = Bundle.open(bundle_copy), Bundle.open(tmp_path / "new")
    assert all(new.manifest.graphs[name] == facts for name, facts in old.manifest.graphs.items())
    assert new.manifest.provenance["estimator"] == "random" and new.manifest.parity["estimator"]["passed"]
    rng = np.random.default_rng(0)
    tracks = MelodyTracks(
        rng.uniform(100, 400, 202), rng.uniform(0, 1, 202), rng.uniform(-40, -10, 202), rng.uniform(0, 1, 202)
    )
    heard = open_estimator(new, CPU, 1).estimate(tracks)
    padded = torch.from_numpy(np.pad(melody_features(tracks), ((0, 0), (0, 2)))[None])
    with torch.no_grad():
        expected = load_estimator(path).build()(padded).probabilities()
    for name in ACTIVATION_SIZES:
        np.testing.assert_allclose(getattr(heard, name), expected[name][0, :202].numpy(), atol=1e-5)
    np.testing.assert_allclose(heard.key.sum(axis=1), 1, atol=1e-5)
    assert CliRunner().invoke(cli.command, ["--verify", str(tmp_path / "new")]).exit_code == 0


def test_a_bundle_takes_the_estimator_of_another(bundle_copy: Path, tmp_path: Path) -> None:
    path, other, new = checkpoint_in(tmp_path), tmp_path / "other", tmp_path / "new"
    without = CliRunner().invoke(cli.command, [str(bundle_copy), "--estimator", str(bundle_copy), "-o", str(new)])
    assert "has no estimator" in str(without.exception) and not new.exists()
    for given, out in ((path, other), (other, new)):
        ran = CliRunner().invoke(cli.command, [str(bundle_copy), "--estimator", str(given), "-o", str(out)])
        assert ran.exit_code == 0, ran.output
    assert (new / "bundle.json").read_bytes() == (other / "bundle.json").read_bytes()
    assert (new / "estimator.onnx").read_bytes() == (other / "estimator.onnx").read_bytes()
    tamper(other, "estimator")
    with pytest.raises(ParityError, match="estimator differs"):
        estimator.take_estimator(bundle_copy, other, new, lambda line: None)
    assert (new / "estimator.onnx").read_bytes() != (other / "estimator.onnx").read_bytes()


def test_verifying_sees_another_estimator(bundle_copy: Path, tmp_path: Path) -> None:
    path = str(checkpoint_in(tmp_path))
    assert CliRunner().invoke(cli.command, [str(bundle_copy), "--estimator", path]).exit_code == 0
    tamper(bundle_copy, "estimator")
    found = estimator.check_estimator(Bundle.open(bundle_copy), lambda line: None)
    assert found and not all(one.passed for one in found)


def test_a_graph_that_differs_is_not_written(
    bundle_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (bundle_copy / "bundle.json").read_bytes()
    written = estimator.estimator_graph
    monkeypatch.setattr(estimator, "estimator_graph", lambda network: nudge(written(network)))
    with pytest.raises(ParityError, match="differs from the model"):
        estimator.add_estimator(bundle_copy, load_estimator(checkpoint_in(tmp_path)), bundle_copy, lambda line: None)
    assert (bundle_copy / "bundle.json").read_bytes() == before and not (bundle_copy / "estimator.onnx").exists()


def test_an_estimator_with_other_outputs_is_refused(bundle_copy: Path, tmp_path: Path) -> None:
    path = str(checkpoint_in(tmp_path))
    assert CliRunner().invoke(cli.command, [str(bundle_copy), "--estimator", path]).exit_code == 0
    edit_manifest(bundle_copy, lambda values: values["graphs"]["estimator"]["outputs"].pop())
    with pytest.raises(UserError, match="estimator gives"):
        Bundle.open(bundle_copy)
