"""A bundle exists whole and proven, or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from samuel_export import bundle as package
from samuel_export.bundle import verify_bundle, write_bundle
from samuel_export.parity.compare import ParityError
from samuel_export.precision.weights import WeightFormat
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import REQUIRED_GRAPHS, GraphName, Manifest
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.diffusion.guidance import Guidance
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_train.codec import Codec
from samuel_train.model.checkpoint import Checkpoint
from samuel_train.model.config import ModelConfig
from samuel_train.model.denoiser import Denoiser
from tests.support.export.sabotage import edit_manifest, nudge, tamper

GRAPHS = [name.value for name in REQUIRED_GRAPHS]


def write(
    source: tuple[Checkpoint, Codec], out: Path, weight_format: WeightFormat = WeightFormat.FP32, guidance: float = 2.0
) -> Path:
    return write_bundle(*source, out, weight_format, Guidance(guidance, down_to=100), silent)


def silent(line: str) -> None:
    pass


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_bundle_loads_and_says_what_it_holds(bundle: Path, source: tuple[Checkpoint, Codec]) -> None:
    manifest = Samuel.load(bundle).manifest
    checkpoint, codec = source
    assert sorted(contents(bundle)) == sorted(["bundle.json", *(f"{name}.onnx" for name in GRAPHS)])
    assert manifest.parity["passed"] is True
    assert manifest.model.prediction is checkpoint.config.prediction
    assert manifest.model.frames_min == 16
    assert manifest.model.guided() == Guidance(2.0, down_to=100)
    assert manifest.statistics.to_dict() == checkpoint.statistics.to_dict()
    assert (manifest.codec.hop_samples, manifest.codec.sample_rate_hz) == (2048, 44100)
    assert manifest.provenance["weights"] == "random, for tests"
    assert manifest.provenance["codec"] == codec.provenance
    assert manifest.provenance["storage"] == "fp32"


def test_declared_tensors_are_the_graphs_own(bundle: Path) -> None:
    for facts in Manifest.read(bundle).graphs.values():
        graph = onnx.load(bundle / facts.file).graph
        assert [tensor.name for tensor in facts.inputs] == [value.name for value in graph.input]
        assert [tensor.name for tensor in facts.outputs] == [value.name for value in graph.output]
        assert {tensor.dtype for tensor in (*facts.inputs, *facts.outputs)} <= {"float32", "int64"}
    (waveform,) = Manifest.read(bundle).graphs[GraphName.ENCODER].inputs
    assert waveform.shape[:2] == (1, 2)
    assert isinstance(waveform.shape[2], str)  # any length


@pytest.mark.usefixtures("traced_codec")
def test_a_wrong_graph_leaves_the_older_bundle_and_nothing_else(
    bundle_copy: Path, source: tuple[Checkpoint, Codec], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = package._graphs

    def sabotaged(
        model: Denoiser, codec: Codec, weight_format: WeightFormat
    ) -> Iterator[tuple[GraphName, onnx.ModelProto]]:
        for name, graph in original(model, codec, weight_format):
            yield name, nudge(graph) if name is GraphName.STEP else graph

    monkeypatch.setattr(package, "_graphs", sabotaged)
    before = contents(bundle_copy)
    with pytest.raises(ParityError, match=r"FAIL step t=.* relative L2 \d"):
        write(source, bundle_copy)
    assert contents(bundle_copy) == before
    assert list(bundle_copy.parent.iterdir()) == [bundle_copy]


@pytest.mark.usefixtures("traced_codec")
def test_a_model_that_changed_after_its_graphs_is_refused(
    tmp_path: Path, source: tuple[Checkpoint, Codec], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = package._graphs

    def retrained(
        model: Denoiser, codec: Codec, weight_format: WeightFormat
    ) -> Iterator[tuple[GraphName, onnx.ModelProto]]:
        yield from original(model, codec, weight_format)
        with torch.no_grad():
            model.unet.mid_resnet.conv2.weight[3, 5, 1] += 0.5

    monkeypatch.setattr(package, "_graphs", retrained)
    with pytest.raises(ParityError):
        write(source, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("traced_codec")
def test_an_older_bundle_is_replaced_by_a_proven_one(bundle_copy: Path, source: tuple[Checkpoint, Codec]) -> None:
    (bundle_copy / "step.onnx").write_bytes(b"broken")
    write(source, bundle_copy, WeightFormat.INT8, guidance=4.0)
    manifest = Samuel.load(bundle_copy).manifest
    assert manifest.parity["passed"] is True
    assert (manifest.model.guidance, manifest.provenance["storage"]) == (4.0, "int8")
    assert list(bundle_copy.parent.iterdir()) == [bundle_copy]
    assert verify_bundle(bundle_copy, silent)


def test_the_trajectory_has_the_steps_of_the_report(bundle_copy: Path) -> None:
    """A later version's default must not make an older bundle unequal."""
    edit_manifest(bundle_copy, lambda manifest: manifest["parity"].update(steps=2))
    lines: list[str] = []
    assert not verify_bundle(bundle_copy, lines.append)  # its fingerprints are of more
    assert any(line.startswith("FAIL trajectory of 2 steps, latents") for line in lines)
    edit_manifest(bundle_copy, lambda manifest: manifest["parity"].update(steps="x"))
    with pytest.raises(UserError, match="parity report is damaged"):
        verify_bundle(bundle_copy, silent)


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path: Path, source: tuple[Checkpoint, Codec]) -> None:
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs" / "mine.wav").write_bytes(b"a song")
    for out in (tmp_path / "songs", tmp_path / "songs" / "mine.wav"):
        with pytest.raises(UserError, match="is not a bundle"):
            write(source, out)
    assert contents(tmp_path / "songs") == {"mine.wav": b"a song"}


def test_verify_repeats_the_report(bundle: Path) -> None:
    """Without the checkpoint here; with it in test_cli.py."""
    lines: list[str] = []
    assert verify_bundle(bundle, lines.append)
    names = [entry["name"] for entry in Manifest.read(bundle).parity["probes"]]
    assert [line.split(":")[0].removeprefix("ok   ") for line in lines if line.startswith("ok ")] == names
    assert not [line for line in lines if line.startswith("FAIL")]


@pytest.mark.parametrize("name", GRAPHS)
def test_fingerprints_see_one_weight_of_any_graph(bundle_copy: Path, name: str) -> None:
    tamper(bundle_copy, name)
    Bundle.open(bundle_copy).read_graph(GraphName(name))  # the hash holds
    assert not verify_bundle(bundle_copy, silent)


@pytest.mark.parametrize("name", ["step", "decoder"])
def test_the_model_sees_one_weight(bundle_copy: Path, source: tuple[Checkpoint, Codec], name: str) -> None:
    tamper(bundle_copy, name)
    assert not verify_bundle(bundle_copy, silent, source)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("model", "prediction", "epsilon"),
        ("model", "timesteps", 1000),
        ("model", "statistics", "shifted"),
        ("codec", "encoder_context_frames", 1),
        ("codec", "decoder_context_frames", 0),
    ],
)
def test_facts_that_are_not_the_models_are_named(
    bundle_copy: Path, source: tuple[Checkpoint, Codec], section: str, name: str, value: Any
) -> None:
    """Both sides of a case once took them from the manifest, so a bundle that said epsilon for v was equal."""

    def edit(manifest: dict[str, Any]) -> None:
        if value == "shifted":
            manifest[section][name]["accompaniment_mean"][0] += 0.01
        else:
            manifest[section][name] = value

    edit_manifest(bundle_copy, edit)
    lines: list[str] = []
    assert not verify_bundle(bundle_copy, lines.append, source)
    assert lines == [f"FAIL facts that are not the model's: {name}"]


def test_another_models_checkpoint_is_not_equal(bundle: Path, source: tuple[Checkpoint, Codec]) -> None:
    checkpoint, codec = source
    weights = {**checkpoint.weights, "output_conv.bias": checkpoint.weights["output_conv.bias"] + 0.01}
    assert not verify_bundle(bundle, silent, (dataclasses.replace(checkpoint, weights=weights), codec))
    assert not verify_bundle(bundle, silent, (with_channels(checkpoint, 8), codec))


@pytest.mark.parametrize("change", [{"storage": "fp8"}, {"storage": ""}])
def test_an_unknown_storage_is_the_users_to_mend(bundle_copy: Path, change: dict[str, str]) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest["provenance"].update(change))
    with pytest.raises(UserError, match="export the bundle again"):
        verify_bundle(bundle_copy, silent)


def test_a_bundle_without_fingerprints_is_not_equal(bundle_copy: Path) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest.update(parity={}))
    assert not verify_bundle(bundle_copy, silent)


@pytest.mark.parametrize("guidance", [float("nan"), -1.0, 101.0])
def test_a_guidance_that_no_bundle_can_hold(tmp_path: Path, source: tuple[Checkpoint, Codec], guidance: float) -> None:
    with pytest.raises(UserError, match="guidance"):
        write(source, tmp_path / "bundle", guidance=guidance)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_crops_longer_than_a_window(tmp_path: Path, source: tuple[Checkpoint, Codec]) -> None:
    checkpoint, codec = source
    with pytest.raises(UserError, match="frames_min"):
        write((dataclasses.replace(checkpoint, frames_min=2048), codec), tmp_path / "bundle")


def test_channels_that_the_noise_cannot_fill(tmp_path: Path, source: tuple[Checkpoint, Codec]) -> None:
    codec = source[1]
    codec.facts = dataclasses.replace(codec.facts, latent_channels=6)
    with pytest.raises(UserError, match="a multiple of 4"):
        write((with_channels(source[0], 6), codec), tmp_path / "bundle")


def test_a_codec_of_other_latents_is_refused(tmp_path: Path, source: tuple[Checkpoint, Codec]) -> None:
    with pytest.raises(UserError, match=r"64 latent channels, the checkpoint 8; .* --codec"):
        write((with_channels(source[0], 8), source[1]), tmp_path / "bundle")


def test_json_holds_the_report_exactly(bundle: Path) -> None:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    report = json.loads((bundle / "bundle.json").read_text(), parse_constant=refuse)["parity"]
    assert report == Manifest.read(bundle).parity
    assert {len(entry["fingerprint"]) for entry in report["probes"]} == {32}


def with_channels(checkpoint: Checkpoint, channels: int) -> Checkpoint:
    """A checkpoint of a model of that many latent channels."""
    config = ModelConfig(**{**checkpoint.config.to_dict(), "latent_channels": channels})
    zeros, ones = np.zeros(channels), np.ones(channels)
    return Checkpoint(
        config, Statistics(zeros, ones, zeros, ones, -5, 5), dict(Denoiser(config).state_dict()), {}, frames_min=16
    )


def test_no_graph_tells_where_it_was_made(bundle: Path) -> None:
    for graph in bundle.glob("*.onnx"):
        data = graph.read_bytes()
        assert b".py" not in data and str(Path.cwd()).encode() not in data, graph.name
