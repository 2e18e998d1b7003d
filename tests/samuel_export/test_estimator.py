"""An estimator in a bundle: proven, heard by the runtime, and refused where it is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner

from samuel_export import cli, estimator
from samuel_export.parity.compare import ParityError
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphFacts, GraphName
from samuel_runtime.engines.backend import Backend
from samuel_runtime.engines.loading import open_chord_estimator, open_estimator
from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import ACTIVATION_SIZES, HARMONY_SIZES
from samuel_runtime.leadsheet.beat_melody import beat_melody
from samuel_runtime.leadsheet.decoder.grid import BeatGrid
from samuel_runtime.leadsheet.sheet import Meter
from samuel_runtime.melody import MelodyTracks, melody_features
from samuel_runtime.settings import Precision, Provider
from samuel_train.listen.checkpoint import EstimatorCheckpoint, load_estimator, save_estimator
from samuel_train.listen.config import ChordConfig, EstimatorConfig, StackConfig
from samuel_train.listen.part import part_of
from tests.support.export.sabotage import edit_manifest, nudge, tamper

CPU = Backend(Provider.CPU, Precision.FP32)


BY_FRAME, OF_CHORDS = EstimatorConfig(width=8, octaves=3, stacks=2), ChordConfig(width=10, octaves=3, stacks=2)
"""Both with weights that are large enough to be stored in half precision."""
NAMES = {BY_FRAME: "estimator", OF_CHORDS: "chords"}


def checkpoint_in(folder: Path, config: StackConfig = BY_FRAME) -> Path:
    """A small estimator in which every weight matters, and no output is certain."""
    torch.manual_seed(4)
    network = part_of(config).network(config)
    moved = 0.1 if config == BY_FRAME else 0.03
    weights = {
        name: weight + moved * torch.rand_like(weight) if weight.is_floating_point() else weight
        for name, weight in network.state_dict().items()
    }
    path = folder / f"{NAMES[config]}.safetensors"
    save_estimator(path, EstimatorCheckpoint(config, weights, {"training": "random"}))
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
        np.testing.assert_allclose(getattr(heard, name), expected[name][0, :202].numpy(), atol=1e-3)
    np.testing.assert_allclose(heard.key.sum(axis=1), 1, atol=1e-5)
    assert CliRunner().invoke(cli.command, ["--verify", str(tmp_path / "new")]).exit_code == 0


def test_chords_are_heard_as_pytorch_hears_them(bundle_copy: Path, tmp_path: Path) -> None:
    assert open_chord_estimator(Bundle.open(bundle_copy), CPU, 1) is None
    paths = [checkpoint_in(tmp_path), checkpoint_in(tmp_path, OF_CHORDS)]
    both = [word for path in paths for word in ("--estimator", str(path))]
    assert CliRunner().invoke(cli.command, [str(bundle_copy), *both]).exit_code == 0
    bundle = Bundle.open(bundle_copy)
    assert all(bundle.manifest.provenance[name] == "random" for name in NAMES.values())
    rng = np.random.default_rng(0)
    tracks = MelodyTracks(rng.uniform(100, 400, 900), rng.uniform(0, 1, 900), rng.uniform(-40, -10, 900), np.zeros(900))
    grid = BeatGrid(Meter.WALTZ, 0.2 + 0.5 * np.arange(18), np.arange(18) % 3 == 0, 1.0, 1.0)
    chord_estimator = open_chord_estimator(bundle, CPU, 1)
    assert chord_estimator is not None
    melody = beat_melody(tracks, grid)
    heard = chord_estimator.engine(pitches=melody.pitches[None], moments=melody.moments[None])
    with torch.no_grad():
        inputs = torch.from_numpy(melody.pitches[None]), torch.from_numpy(melody.moments[None])
        expected = load_estimator(paths[1]).build()(*inputs).probabilities()
    for name in HARMONY_SIZES:
        wanted = expected[name].numpy()
        np.testing.assert_allclose(heard[name], wanted, atol=0.05 * float(wanted.std()))


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
        estimator.add_estimators(bundle_copy, [other], new, lambda line: None)
    assert (new / "estimator.onnx").read_bytes() != (other / "estimator.onnx").read_bytes()


@pytest.mark.parametrize("config", [BY_FRAME, OF_CHORDS])
def test_verifying_sees_another_estimator(config: StackConfig, bundle_copy: Path, tmp_path: Path) -> None:
    path = str(checkpoint_in(tmp_path, config))
    assert CliRunner().invoke(cli.command, [str(bundle_copy), "--estimator", path]).exit_code == 0
    tamper(bundle_copy, NAMES[config])
    found = estimator.check_estimators(Bundle.open(bundle_copy), lambda line: None)
    assert found and not all(one.passed for one in found)


@pytest.mark.parametrize("config", [BY_FRAME, OF_CHORDS])
def test_a_graph_that_differs_is_not_written(
    config: StackConfig, bundle_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (bundle_copy / "bundle.json").read_bytes()
    written = estimator.write_graph

    def nudged(folder: Path, name: GraphName, graph: onnx.ModelProto, *args: Any, **kwargs: Any) -> GraphFacts:
        return written(folder, name, nudge(graph), *args, **kwargs)

    monkeypatch.setattr(estimator, "write_graph", nudged)
    checkpoint = load_estimator(checkpoint_in(tmp_path, config))
    with pytest.raises(ParityError, match="differs from the model"):
        estimator.add_estimators(bundle_copy, [checkpoint], bundle_copy, lambda line: None)
    assert (bundle_copy / "bundle.json").read_bytes() == before
    assert not (bundle_copy / f"{NAMES[config]}.onnx").exists()


def test_of_two_estimators_neither_is_written_if_one_differs(bundle_copy: Path, tmp_path: Path) -> None:
    first, other = load_estimator(checkpoint_in(tmp_path)), tmp_path / "other"
    estimator.add_estimators(bundle_copy, [first], other, lambda line: None)
    tamper(other, "estimator")
    before = {path.name: path.read_bytes() for path in bundle_copy.iterdir()}
    second = load_estimator(checkpoint_in(tmp_path, OF_CHORDS))
    with pytest.raises(ParityError):
        estimator.add_estimators(bundle_copy, [second, other], bundle_copy, lambda line: None)
    assert {path.name: path.read_bytes() for path in bundle_copy.iterdir()} == before


@pytest.mark.parametrize("config", [BY_FRAME, OF_CHORDS])
@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_an_estimator_of_another_shape_is_refused(
    side: str, config: StackConfig, bundle_copy: Path, tmp_path: Path
) -> None:
    path, name = str(checkpoint_in(tmp_path, config)), NAMES[config]
    assert CliRunner().invoke(cli.command, [str(bundle_copy), "--estimator", path]).exit_code == 0
    edit_manifest(bundle_copy, lambda values: values["graphs"][name][side].pop())
    with pytest.raises(UserError, match=f"{name} {'takes' if side == 'inputs' else 'gives'}"):
        Bundle.open(bundle_copy)
