"""`samuel-export` as people and scripts meet it: exit codes, stderr, stdout and what is left on the disk."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import urllib.error
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from samuel_export import bundle as package
from samuel_export import cli
from samuel_export.tensorrt import add_engines
from samuel_runtime.bundle.manifest import Manifest
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.cli import command as runtime_cli
from samuel_runtime.diffusion.schedule import Prediction
from samuel_runtime.engines.tensorrt import device
from samuel_runtime.engines.tensorrt import library as tensorrt_library
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Flavor, Precision
from samuel_train.codec.model.files import save_small_codec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.denoiser import Denoiser
from samuel_train.model.published import PUBLISHED_CODEC, import_published
from tests.support.export.sabotage import edit_manifest, nudge, tamper
from tests.support.export.small_oobleck import save_small_oobleck
from tests.support.miniature import CODEC_CONFIG, CONFIG, short_reports
from tests.support.runtime.commands import tree
from tests.support.weights import golden_state_dict, normal

Ended = tuple[int, str, str]
Command = Callable[..., Ended]


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command's `main` in this process: (exit code, stdout, stderr)."""

    def run(*arguments: object, main: Callable[[], None] = cli.main) -> Ended:
        monkeypatch.setattr("sys.argv", ["command", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (extra `rtx`)")


@pytest.fixture
def checkpoint(bundle: Path) -> Path:
    return bundle.parent / "checkpoint.safetensors"


@pytest.mark.usefixtures("traced_codec")
def test_the_default_is_the_newest_run_and_its_bundle_lies_beside_it(
    tmp_path: Path, checkpoint: Path, export: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, time_s in (("a", 1000), ("b", 3000), ("c", 2000)):
        (tmp_path / "runs" / name).mkdir(parents=True)
        shutil.copy(checkpoint, tmp_path / "runs" / name)
        os.utime(tmp_path / "runs" / name / "checkpoint.safetensors", (time_s, time_s))
    monkeypatch.chdir(tmp_path)
    code, out, err = export()
    assert code == 0, err
    assert out.splitlines() == [str(Path("runs") / "b" / "bundle")]
    assert f"ok   trajectory of {package.DEFAULT_STEPS} steps, predictions" in err
    assert Manifest.read(tmp_path / "runs" / "b" / "bundle").model.guidance == 3.0
    assert sorted(path.parent.name for path in tmp_path.rglob("bundle")) == ["b"]


@pytest.mark.usefixtures("traced_codec")
def test_a_failing_report_ends_with_its_numbers_and_code_1(
    tmp_path: Path, checkpoint: Path, export: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = package._graphs
    monkeypatch.setattr(package, "_graphs", lambda *given: ((name, nudge(graph)) for name, graph in original(*given)))
    code, out, err = export(checkpoint, "-o", tmp_path / "bundle")
    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith("error: the exported graphs differ from the model, so no bundle was written: FAIL ")
    assert "relative L2" in last
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def refused(ended: Ended) -> str:
    """The one line of a user error."""
    code, out, err = ended
    assert (code, out) == (2, ""), err
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    return line


def test_a_checkpoint_that_is_not_there(tmp_path: Path, export: Command) -> None:
    line = refused(export(tmp_path / "none.safetensors"))
    assert str(tmp_path / "none.safetensors") in line
    assert "samuel-train fit" in line


def test_a_pickle_names_the_command_that_converts_it(tmp_path: Path, export: Command) -> None:
    torch.save({"model_state": {}}, tmp_path / "model2_best.pth")
    line = refused(export(tmp_path / "model2_best.pth"))
    assert "pickle" in line
    assert "samuel-train import-published" in line


def test_no_runs(tmp_path: Path, export: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "runs: holds no run with a checkpoint" in refused(export())
    assert list(tmp_path.iterdir()) == []


def test_a_codec_of_other_latents(tmp_path: Path, checkpoint: Path, export: Command) -> None:
    save_small_codec(tmp_path / "codec", SmallCodec(dataclasses.replace(CODEC_CONFIG, latent_channels=8)))
    line = refused(export(checkpoint, "--codec", tmp_path / "codec", "-o", tmp_path / "bundle"))
    assert "8 latent channels, the checkpoint 64" in line
    assert not (tmp_path / "bundle").exists()


def test_a_codec_that_is_not_there(
    tmp_path: Path, checkpoint: Path, export: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "holds no codec" in refused(export(checkpoint, "--codec", tmp_path / "none", "-o", tmp_path / "bundle"))
    moved = dataclasses.replace(load_checkpoint(checkpoint), provenance={"codec": "moved"})
    save_checkpoint(tmp_path / "c.safetensors", moved)
    assert "moved: holds no codec" in refused(export(tmp_path / "c.safetensors", "-o", tmp_path / "bundle"))
    assert not (tmp_path / "bundle").exists()


def test_an_imported_checkpoint_without_a_network_waited_for_the_hub(
    tmp_path: Path, checkpoint: Path, export: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the gated codec of the published model; half a minute of retries went by before anything was said."""
    imported = dataclasses.replace(load_checkpoint(checkpoint), provenance={"codec": PUBLISHED_CODEC})
    save_checkpoint(tmp_path / "c.safetensors", imported)

    def without_network(*given: object, **options: object) -> None:
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr("urllib.request.urlopen", without_network)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *given, **options: None)
    monkeypatch.setattr("diffusers.AutoencoderOobleck.from_pretrained", lambda *given, **options: pytest.fail("asked"))
    line = refused(export(tmp_path / "c.safetensors", "-o", tmp_path / "bundle"))
    assert line.startswith(f"error: {PUBLISHED_CODEC}: is on the Hugging Face hub, which cannot be reached")
    assert "--codec FOLDER" in line
    assert not (tmp_path / "bundle").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, checkpoint: Path, export: Command) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "song.wav").write_bytes(b"a song")
    assert "is not a bundle" in refused(export(checkpoint, "-o", tmp_path / "mine"))
    assert (tmp_path / "mine" / "song.wav").read_bytes() == b"a song"


@pytest.mark.parametrize(
    "options",
    [
        ["--weights", "fp8"],
        ["--precision", "int8"],
        ["--guidance", "nan"],
        ["--guidance", "-1"],
        ["--no-such-option"],
        ["a", "b"],
    ],
)
def test_options_out_of_bounds(tmp_path: Path, checkpoint: Path, export: Command, options: list[str]) -> None:
    refused(export(checkpoint, "-o", tmp_path / "bundle", *options))
    assert list(tmp_path.iterdir()) == []


def test_weights_without_effect_are_refused(tmp_path: Path, checkpoint: Path, export: Command) -> None:
    for weights in ("fp16", "fp32"):
        line = refused(export(checkpoint, "-o", tmp_path / "b", "--precision", "bf16", "--weights", weights))
        assert "--weights has no effect with --precision bf16" in line


@pytest.mark.usefixtures("traced_codec")
def test_a_precision_and_how_bands_are_made_are_asked_for(tmp_path: Path, checkpoint: Path, export: Command) -> None:
    made = ("--steps", "3", "--guidance", "1.5", "--side-gain-db", "-1")
    code, out, err = export(checkpoint, "-o", tmp_path / "bundle", "--precision", "fp16", *made)
    assert (code, out) == (0, f"{tmp_path / 'bundle'}\n"), err
    assert "wrote step.onnx: fp16, " in err
    assert "wrote timesteps.onnx: fp32, " in err
    manifest = Manifest.read(tmp_path / "bundle")
    assert manifest.precision is Precision.FP16
    assert (manifest.model.steps, manifest.model.guidance, manifest.model.side_gain_db) == (3, 1.5, -1.0)


@pytest.mark.usefixtures("lowering")
def test_verify_with_the_checkpoint(bundle: Path, checkpoint: Path, export: Command) -> None:
    """Equal with it; in test_bundle.py without it."""
    code, out, err = export("--verify", bundle, checkpoint)
    assert (code, out) == (0, f"{bundle}: equal to its model\n"), err
    report = Manifest.read(bundle).parity
    assert len(err.splitlines()) == len(report["probes"]) + len(report["lowered"])


def test_verify_sees_a_weight_that_changed_with_its_hash(bundle_copy: Path, export: Command) -> None:
    """Without the checkpoint here; with it in test_bundle.py."""
    tamper(bundle_copy, "step")
    code, out, err = export("--verify", bundle_copy)
    assert (code, out) == (1, f"{bundle_copy}: NOT equal to its model\n")
    assert "FAIL step t=0" in err
    assert "Traceback" not in err


def test_verify_refuses_what_is_no_bundle(tmp_path: Path, bundle_copy: Path, export: Command) -> None:
    assert "no such bundle folder" in refused(export("--verify", tmp_path / "none"))
    with (bundle_copy / "step.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"\xff")
    assert "SHA-256" in refused(export("--verify", bundle_copy))


def test_a_bundle_whose_replacement_was_killed_was_no_bundle(bundle_copy: Path, export: Command) -> None:
    """Killed between the two renames; the next command puts the old bundle back, here one that goes no further."""
    before = tree(bundle_copy)
    bundle_copy.rename(bundle_copy.with_name(f".{bundle_copy.name}-old"))
    assert "holds no codec" in refused(export(bundle_copy, "--decoder", bundle_copy.parent / "none"))
    assert tree(bundle_copy) == before


@pytest.mark.parametrize(
    "option",
    [
        ["-o", "out"],
        ["--precision", "fp16"],
        ["--weights", "fp16"],
        ["--guidance", "3"],
        ["--steps", "3"],
        ["--side-gain-db", "1"],
        ["--peak-ceiling", "1"],
        ["--guided-down-to", "3"],
        ["--codec", "there"],
    ],
)
def test_an_option_without_effect_on_verify_is_refused(bundle: Path, export: Command, option: list[str]) -> None:
    assert "has no effect" in refused(export("--verify", bundle, *option))


@pytest.mark.parametrize("option", [["--trt-flavor", "rtx"], ["--trt-target", "8.6"]])
def test_an_option_of_engines_without_engines_is_refused(
    tmp_path: Path, checkpoint: Path, export: Command, option: list[str]
) -> None:
    line = refused(export(checkpoint, "-o", tmp_path / "bundle", *option))
    assert line.startswith(f"error: {option[0]} has no effect without --trt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [["--trt"], ["--trt", "--trt-target", "8.6"]])
def test_engines_are_not_built_while_verifying(bundle: Path, export: Command, option: list[str]) -> None:
    assert "has no effect on this --verify" in refused(export("--verify", bundle, *option))


@pytest.mark.parametrize("option", ["-o", "--codec", "--weights", "--licence"])
def test_an_option_of_an_export_has_no_effect_on_a_bundle(bundle: Path, export: Command, option: str) -> None:
    value = {"--weights": "fp16"}.get(option, "there")
    line = refused(export(bundle, "--trt", option, value))
    assert "has no effect on a bundle" in line


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trt-target", "8.7"], "--trt-target 8.7: no such compute capability here; choose from 7.5, 8.0, "),
        (["--trt-target", "8.6", "--trt-target", "nine"], "--trt-target nine: no such compute capability here"),
        (["--trt-flavor", "classic"], "--trt: its library tensorrt is not installed; add it with `pip install "),
        (["--trt-flavor", "vanilla"], "--trt-flavor"),
    ],
)
def test_engines_that_cannot_be_built_here_are_one_line_before_any_work(
    tmp_path: Path, bundle_copy: Path, checkpoint: Path, export: Command, options: list[str], said: str
) -> None:
    before = tree(bundle_copy)
    for given in ([bundle_copy], [checkpoint, "-o", tmp_path / "new"]):
        assert said in refused(export(*given, "--trt", *options))
    assert tree(bundle_copy) == before
    assert not (tmp_path / "new").exists()


def test_a_library_that_is_missing_is_one_line_before_any_work(
    tmp_path: Path, bundle_copy: Path, checkpoint: Path, export: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(bundle_copy)
    monkeypatch.setattr(tensorrt_library, "find_spec", lambda name: None)
    for given in ([bundle_copy], [checkpoint, "-o", tmp_path / "new"]):
        line = refused(export(*given, "--trt"))
        assert line == (
            "error: --trt: its library tensorrt_rtx is not installed; add it with `pip install 'samuel-deploy[rtx]'`"
        )
    assert tree(bundle_copy) == before
    assert not (tmp_path / "new").exists()


def test_classic_engines_without_a_gpu_are_one_line(
    bundle: Path, export: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_gpu() -> None:
        raise UserError("CUDA: there is no NVIDIA GPU; use --provider cpu")

    monkeypatch.setattr(tensorrt_library, "find_spec", lambda name: name)
    monkeypatch.setattr(device, "gpu_here", no_gpu)
    line = refused(export(bundle, "--trt", "--trt-flavor", "classic"))
    assert line.startswith("error: --trt-flavor classic: ") and "there is no NVIDIA GPU; use --trt-flavor rtx" in line
    monkeypatch.setattr(device, "gpu_here", lambda: None)
    line = refused(export(bundle, "--trt", "--trt-flavor", "classic", "--trt-target", "8.6"))
    assert "--trt-target 8.6: TensorRT's engines are for the GPU they are built on; leave it out" in line


@pytest.mark.usefixtures("rtx")
def test_engines_of_another_precision_than_a_typed_bundles(bundle_copy: Path, export: Command) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest["graphs"]["step"].update(precision="bf16"))
    line = refused(export(bundle_copy, "--trt"))
    assert "typed in bf16, so its engines cannot be fp16; use --precision bf16" in line


@pytest.mark.usefixtures("rtx")
def test_what_is_neither_bundle_nor_checkpoint_gets_no_engines(tmp_path: Path, export: Command) -> None:
    for path in (tmp_path / "none", tmp_path, tmp_path / ("n" * 300)):
        assert "samuel-train fit" in refused(export(path, "--trt"))


@pytest.mark.usefixtures("traced_codec", "rtx")
def test_a_checkpoint_becomes_a_bundle_with_engines(
    tmp_path: Path, checkpoint: Path, export: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its graphs in float32 for every other backend, its engines in half precision unless another is asked for."""
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(add_engines, "add_engines", lambda *given: asked.append(given[:-1]))
    out = tmp_path / "bundle"
    code, said, err = export(checkpoint, "-o", out, "--trt", "--weights", "fp16", "--trt-target", "8.6")
    assert (code, said) == (0, f"{out}\n"), err
    assert asked.pop() == (out, Precision.FP16, None, ("8.6",))
    manifest = Manifest.read(out)
    assert (manifest.precision, manifest.provenance["storage"]) == (Precision.FP32, "fp16")
    code, said, err = export(out, "--trt", "--precision", "bf16", "--trt-flavor", "rtx")
    assert (code, said) == (0, f"{out}\n"), err
    assert asked.pop() == (out, Precision.BF16, Flavor.RTX, ())


def sung(path: Path) -> Path:
    t_s = np.arange(2 * 44100) / 44100
    soundfile.write(path, 0.2 * np.sin(2 * np.pi * 220 * t_s), 44100)
    return path


def test_a_published_model_with_an_oobleck_becomes_a_band(
    tmp_path: Path, export: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The published variant in miniature, all the way: checkpoint, bundle, accompaniment."""
    short_reports(monkeypatch)
    codec = save_small_oobleck(tmp_path / "vae", latent_channels=4)
    variant = {"latent_channels": 4, "alignment": Alignment.PUBLISHED_CODE, "prediction": Prediction.EPSILON}
    config = ModelConfig(**{**CONFIG.to_dict(), **variant})
    torch.manual_seed(5)
    weights = {name: weight + 0.05 * torch.randn_like(weight) for name, weight in Denoiser(config).state_dict().items()}
    zeros, ones = np.zeros(4), np.ones(4)
    save_checkpoint(
        tmp_path / "checkpoint.safetensors",
        Checkpoint(config, Statistics(zeros, ones, zeros, ones, -5, 5), weights, {}, frames_min=64),
    )
    export_and_run(tmp_path, codec, export)


@pytest.mark.slow
def test_an_imported_checkpoint_becomes_a_band(tmp_path: Path, export: Command) -> None:
    """The same at full size, from a .pth as the published code leaves it."""
    (tmp_path / "latents").mkdir()
    for seed, kind in enumerate(("vocal", "accomp")):
        np.save(tmp_path / "latents" / f"latent_{kind}.npy", normal(seed, 2, 64, 1024))
    tables = {f"{attention}.global_.rope.{table}": torch.zeros(1024, 8)
              for attention in ("align", "unet.mid_attn.attn") for table in ("cosine", "sine")}  # fmt: skip
    torch.save({"model_state": {**golden_state_dict(), **tables}, "epoch": 99}, tmp_path / "model2_best.pth")
    import_published(tmp_path / "model2_best.pth", tmp_path / "latents", tmp_path / "checkpoint.safetensors")
    export_and_run(tmp_path, save_small_oobleck(tmp_path / "vae", latent_channels=64), export)


def export_and_run(folder: Path, codec: Path, export: Command) -> None:
    code, _, err = export(folder / "checkpoint.safetensors", "--codec", codec)
    assert code == 0, err
    manifest = Manifest.read(folder / "bundle")
    assert manifest.model.prediction is Prediction.EPSILON
    assert manifest.provenance["codec_licence"] == "Stability AI Community License"
    assert manifest.codec.hop_samples == 2048
    voice, band = sung(folder / "vocals.wav"), folder / "band.wav"
    code, out, err = export(
        voice, "-o", band, "--bundle", folder / "bundle", "--steps", 2, "--sampler", "ancestral", "--json",
        main=runtime_cli.main,
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["provider"] == "cpu"
    samples, rate_hz = soundfile.read(band)
    assert (samples.shape, rate_hz) == ((2 * 44100, 2), 44100)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() > 1e-4
