"""Checkpoints: exact round trip, and one plain line for every way in which a file can be wrong."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import struct
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.errors import UserError
from samuel_train.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.denoiser import Denoiser
from tests.support.weights import normal

SMALL = ModelConfig(latent_channels=8, base_channels=16, time_width=32, heads=2)


def statistics(channels: int = 8) -> Statistics:
    means, stds = normal(1, 2, channels), 1 + normal(2, 2, channels) ** 2
    return Statistics(means[0], stds[0], means[1], stds[1], clamp_min=-5.3, clamp_max=6.1)


@cache
def checkpoint(config: ModelConfig = SMALL) -> Checkpoint:
    """Its weights are not to be changed in place."""
    torch.manual_seed(0)
    weights = {name: torch.randn_like(w) for name, w in Denoiser(config).state_dict().items()}
    return Checkpoint(config, statistics(), weights, {"trained": "for a test", "licence": "MIT"}, frames_min=64)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("intact") / "checkpoint.safetensors"
    save_checkpoint(path, checkpoint())
    return path


@pytest.fixture
def path(intact: Path, tmp_path: Path) -> Path:
    """To damage."""
    return Path(shutil.copy(intact, tmp_path))


def parts(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return load_file(path), dict(file.metadata())


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("alignment", Alignment)
def test_round_trip_is_exact(tmp_path: Path, alignment: Alignment) -> None:
    saved = checkpoint(dataclasses.replace(SMALL, alignment=alignment))
    save_checkpoint(tmp_path / "c.safetensors", saved)
    loaded = load_checkpoint(tmp_path / "c.safetensors")
    assert loaded.config == saved.config
    assert loaded.provenance == saved.provenance and loaded.frames_min == 64
    assert loaded.statistics.to_dict() == saved.statistics.to_dict()
    assert loaded.weights.keys() == saved.weights.keys()
    assert all(torch.equal(loaded.weights[name], w) for name, w in saved.weights.items())
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


@torch.no_grad()
def test_built_model_computes_what_was_trained(path: Path) -> None:
    model = Denoiser(SMALL).eval()
    model.load_state_dict(checkpoint().weights)
    built = load_checkpoint(path).build()
    x, vocals, t = torch.randn(1, 8, 16), torch.randn(1, 8, 16), torch.tensor([500])
    assert not built.training
    assert torch.equal(built(x, vocals, t), model(x, vocals, t))


def test_weights_may_need_gradients_lie_transposed_or_share_memory(tmp_path: Path) -> None:
    saved = checkpoint()
    flat = torch.zeros(40)
    weights = {
        **saved.weights,
        "time_mlp.2.weight": torch.nn.Parameter(saved.weights["time_mlp.2.weight"].T.contiguous().T),
        "x_encoder.bias": flat[:16],
        "cond_encoder.bias": flat[8:24],
    }
    save_checkpoint(tmp_path / "c.safetensors", dataclasses.replace(saved, weights=weights))
    loaded = load_checkpoint(tmp_path / "c.safetensors").weights
    assert torch.equal(loaded["time_mlp.2.weight"], saved.weights["time_mlp.2.weight"])
    assert not loaded["cond_encoder.bias"].any()


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "samuel-train fit" in refusal(tmp_path / "none.safetensors")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_named_and_the_importer_offered(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model2_best.pth"
    torch.save({"model_state": {}}, path, _use_new_zipfile_serialization=zipped)
    assert "samuel-train import-published" in refusal(path)


def test_a_checkpoint_whose_header_length_begins_like_a_pickle_loads(tmp_path: Path) -> None:
    """One in 32 was refused: the file begins with that length, and 0x80 is also how a pickle begins."""

    def saved(note_length: int) -> Path:
        path = tmp_path / f"{note_length}.safetensors"
        save_checkpoint(path, dataclasses.replace(checkpoint(), provenance={"note": "x" * note_length}))
        return path

    path = saved((0x80 - saved(0).read_bytes()[0]) % 0x100)
    assert path.read_bytes()[0] == 0x80
    load_checkpoint(path)


@pytest.mark.parametrize("kept", [0, 5, 300, -1])
def test_truncated_file(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    assert "cut short" in refusal(path)


def test_absurd_header_size(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 62) + path.read_bytes()[8:])
    assert "cut short" in refusal(path)


def test_another_programs_safetensors(path: Path) -> None:
    weights, _ = parts(path)
    save_file(weights, path)
    assert "not a checkpoint of samuel" in refusal(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("samuel_format", "2", "upgrade"),
        ("samuel_format", "one", "samuel_format"),
        ("config", "{", "config"),
        ("config", "[" * 100_000, "config"),
        ("config", '{"depth": 3}', "unknown key depth"),
        ("config", '{"window": 1e999}', "window"),
        ("config", "null", "model config"),
        ("statistics", "{}", "statistics"),
        ("provenance", '["x"]', "provenance"),
        ("provenance", '{"x": 1}', "provenance"),
        ("frames_min", "0", "frames_min"),
        ("frames_min", "12", "multiple of 8"),
        ("frames_min", "true", "frames_min"),
    ],
)
def test_wrong_metadata_is_named(path: Path, key: str, value: str, message: str) -> None:
    weights, metadata = parts(path)
    save_file(weights, path, {**metadata, key: value})
    assert message in refusal(path)


@pytest.mark.parametrize("key", ["config", "statistics", "provenance", "frames_min"])
def test_missing_metadata_is_named(path: Path, key: str) -> None:
    weights, metadata = parts(path)
    del metadata[key]
    save_file(weights, path, metadata)
    assert key in refusal(path)


@pytest.mark.parametrize("name", ["vocals_mean", "accompaniment_std"])
def test_nan_in_the_statistics(path: Path, name: str) -> None:
    weights, metadata = parts(path)
    values = json.loads(metadata["statistics"])
    values[name][3] = float("nan")
    save_file(weights, path, {**metadata, "statistics": json.dumps(values)})
    assert name in refusal(path)


def test_statistics_of_another_number_of_channels(path: Path) -> None:
    weights, metadata = parts(path)
    save_file(weights, path, {**metadata, "statistics": json.dumps(statistics(4).to_dict())})
    assert "4 channels" in refusal(path)


def test_tensors_that_do_not_fit_are_named(path: Path) -> None:
    weights, metadata = parts(path)
    del weights["unet.ups.1.bias"]
    weights["unet.ups.1.scale"] = torch.ones(1)
    weights["output_conv.bias"] = torch.ones(9)
    save_file(weights, path, metadata)
    message = refusal(path)
    assert "missing unet.ups.1.bias" in message
    assert "unexpected unet.ups.1.scale" in message
    assert "misshaped output_conv.bias [9] instead of [8]" in message


def test_many_faults_stay_one_short_line(path: Path) -> None:
    _, metadata = parts(path)
    save_file({f"junk.{i}": torch.ones(1) for i in range(500)}, path, metadata)
    message = refusal(path)
    assert "and 497 more" in message and len(message) < 600 and "\n" not in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(path: Path, value: float) -> None:
    weights, metadata = parts(path)
    weights["unet.ups.1.bias"][2] = value
    save_file(weights, path, metadata)
    assert "unet.ups.1.bias holds NaN or infinity" in refusal(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.int32, torch.float8_e5m2])
def test_weights_of_another_type_are_named(path: Path, dtype: torch.dtype) -> None:
    weights, metadata = parts(path)
    weights["unet.ups.1.bias"] = weights["unet.ups.1.bias"].to(dtype)
    save_file(weights, path, metadata)
    assert "unet.ups.1.bias is torch." in refusal(path)


def test_hostile_config_takes_no_memory(path: Path) -> None:
    """A kilobyte of metadata may describe a model of terabytes."""
    weights, metadata = parts(path)
    huge = dataclasses.replace(SMALL, base_channels=65536, time_width=65536).to_dict()
    save_file(weights, path, {**metadata, "config": json.dumps(huge)})
    start = time.monotonic()
    assert "misshaped" in refusal(path)
    assert time.monotonic() - start < 5


def test_flipped_bytes_never_end_in_a_traceback(path: Path) -> None:
    intact = path.read_bytes()
    header_bytes = 8 + struct.unpack("<Q", intact[:8])[0]
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(intact)
        for position in rng.integers(0, header_bytes, 3):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            load_checkpoint(path)
        except UserError as error:
            assert str(error).startswith(f"{path}: ")
            refused += 1
    assert refused > 50


def test_unwritable_target_is_explained_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        save_checkpoint(tmp_path / "no" / "such" / "c.safetensors", checkpoint())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_full_disk_leaves_the_old_checkpoint(path: Path) -> None:
    import resource

    intact, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            save_checkpoint(path, checkpoint())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == intact
    assert [p.name for p in path.parent.iterdir()] == [path.name]
