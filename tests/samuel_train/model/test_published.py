"""Import of the published code's checkpoints: everything kept, everything else refused by name."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from samuel_runtime.diffusion.schedule import Prediction
from samuel_runtime.errors import UserError
from samuel_train.cli.import_published import command
from samuel_train.model.checkpoint import load_checkpoint
from samuel_train.model.config import Alignment
from samuel_train.model.published import DERIVED, import_published, read_published
from tests.support.weights import golden_state_dict, normal

ROPE_SHAPES = {"align": (1024, 8), "unet.mid_attn.attn": (128, 64)}


def model_state() -> dict[str, Any]:
    """As the published training loop leaves it: parameters and four tables."""
    tables = {name: torch.zeros(ROPE_SHAPES[name.split(".global_")[0]]) for name in sorted(DERIVED)}
    return {**golden_state_dict(), **tables}


def saved(path: Path, state: Any, **more: Any) -> Path:
    torch.save({"model_state": state, "optimizer_state": {"state": {}, "lr": 1e-4}, "epoch": 99, **more}, path)
    return path


@pytest.fixture
def latents(tmp_path: Path) -> Path:
    folder = tmp_path / "latents"
    folder.mkdir()
    np.save(folder / "latent_vocal.npy", 3 + 2 * normal(1, 3, 64, 1024))
    np.save(folder / "latent_accomp.npy", -1 + 0.5 * normal(2, 3, 64, 1024))
    return folder


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_published(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_import_keeps_every_weight_and_drops_the_four_tables(tmp_path: Path, latents: Path) -> None:
    pth = saved(tmp_path / "model2_best.pth", model_state())
    result = CliRunner().invoke(command, [str(pth), "--latents", str(latents), "-o", str(tmp_path / "c.safetensors")])
    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(tmp_path / "c.safetensors")
    imported = load_checkpoint(tmp_path / "c.safetensors")
    expected = golden_state_dict()
    assert imported.weights.keys() == expected.keys()
    assert all(torch.equal(imported.weights[name], weight) for name, weight in expected.items())
    assert imported.config.alignment is Alignment.PUBLISHED_CODE
    assert imported.config.prediction is Prediction.EPSILON
    assert imported.frames_min == 1024
    assert imported.provenance["codec"] == "stabilityai/stable-audio-open-1.0"
    assert "model2_best.pth" in imported.provenance["trained"]


def test_statistics_are_those_of_the_latents_in_either_layout(tmp_path: Path, latents: Path) -> None:
    pth = saved(tmp_path / "m.pth", golden_state_dict())
    first = load_checkpoint(import_published(pth, latents, tmp_path / "a.safetensors")).statistics
    vocals, accompaniment = (np.load(latents / f"latent_{kind}.npy") for kind in ("vocal", "accomp"))
    np.testing.assert_allclose(first.vocals_mean, vocals.mean((0, 2), dtype=np.float64), rtol=1e-5)
    np.testing.assert_allclose(first.accompaniment_std, accompaniment.std((0, 2), dtype=np.float64), rtol=1e-5)
    normalised = first.normalise_accompaniment(accompaniment)
    assert first.clamp_min == pytest.approx(normalised.min(), rel=1e-4)
    assert first.clamp_max == pytest.approx(normalised.max(), rel=1e-4)
    for kind, array in (("vocal", vocals), ("accomp", accompaniment)):
        np.save(latents / f"latent_{kind}.npy", array.transpose(0, 2, 1).copy())
    second = load_checkpoint(import_published(pth, latents, tmp_path / "b.safetensors")).statistics
    for name, value in first.to_dict().items():
        np.testing.assert_allclose(second.to_dict()[name], value, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unet.ups.1.bias": None}, "missing unet.ups.1.bias"),
        ({"unet.ups.1.scale": torch.ones(1)}, "unexpected unet.ups.1.scale"),
        ({"align.local.rope.cosine": torch.ones(1)}, "unexpected align.local.rope.cosine"),
        ({"output_conv.bias": torch.ones(65)}, "misshaped output_conv.bias [65] instead of [64]"),
        ({"output_conv.bias": torch.ones(1).expand(1 << 50)}, "misshaped output_conv.bias"),
        ({"output_conv.bias": 3.0}, "'output_conv.bias' is no dense tensor"),
        ({"output_conv.bias": torch.ones(64).to_sparse()}, "'output_conv.bias' is no dense tensor"),
        ({"output_conv.bias": torch.ones(64, device="meta")}, "'output_conv.bias' is no dense tensor"),
        ({7: torch.ones(1)}, "7 is no dense tensor"),
    ],
)
def test_state_that_does_not_fit_is_refused_by_name(tmp_path: Path, change: dict, message: str) -> None:
    state = {name: value for name, value in {**model_state(), **change}.items() if value is not None}
    assert message in refusal(saved(tmp_path / "m.pth", state))


@pytest.mark.parametrize(
    ("bias", "message"),
    [
        (torch.full((64,), torch.nan), "output_conv.bias holds NaN"),
        (torch.ones(64, dtype=torch.float64), "output_conv.bias is torch.float64"),
    ],
)
def test_values_that_cannot_be_used_are_refused_by_name(
    tmp_path: Path, latents: Path, bias: torch.Tensor, message: str
) -> None:
    pth = saved(tmp_path / "m.pth", {**golden_state_dict(), "output_conv.bias": bias})
    with pytest.raises(UserError, match=message) as caught:
        import_published(pth, latents, tmp_path / "c.safetensors")
    assert str(caught.value).startswith(f"{pth}: ")
    assert not (tmp_path / "c.safetensors").exists()


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2], {"model_state": 3}])
def test_other_dictionaries_are_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "m.pth")
    assert "has no model_state" in refusal(tmp_path / "m.pth")


class _Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


def test_pickled_code_is_refused_and_never_run(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.pth", golden_state_dict(), extra=_Bomb(tmp_path / "exploded"))
    assert "could run code" in refusal(path)
    assert not (tmp_path / "exploded").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "exploded").exists()  # the bomb was live


def test_compressed_archive_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    stored, packed = saved(tmp_path / "stored.pth", {"a": torch.zeros(1 << 20)}), tmp_path / "packed.pth"
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.namelist():
            target.writestr(entry, source.read(entry))
    assert packed.stat().st_size < stored.stat().st_size / 100
    assert "compressed" in refusal(packed)


def test_missing_truncated_old_and_foreign_files(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "none.pth")
    assert "cannot be read" in refusal(tmp_path)
    whole = saved(tmp_path / "m.pth", {"a": torch.zeros(9)})
    (tmp_path / "short.pth").write_bytes(whole.read_bytes()[:-200])
    assert "damaged" in refusal(tmp_path / "short.pth")
    torch.save({"model_state": {}}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert "since PyTorch 1.6" in refusal(tmp_path / "old.pth")
    shutil.make_archive(str(tmp_path / "other"), "tar", tmp_path, "m.pth")
    assert "damaged" in refusal(tmp_path / "other.tar")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "damaged" in refusal(tmp_path / "other.zip")


def test_flipped_bytes_never_end_in_a_traceback(tmp_path: Path) -> None:
    whole = saved(tmp_path / "m.pth", {"a": torch.zeros(9), "b": torch.ones(2, 3)}).read_bytes()
    rng = np.random.default_rng(0)
    damaged_path = tmp_path / "damaged.pth"
    for _ in range(150):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), 4):
            damaged[position] = rng.integers(256)
        damaged_path.write_bytes(damaged)
        refusal(damaged_path)


def test_missing_latents_are_named(tmp_path: Path) -> None:
    pth = saved(tmp_path / "m.pth", golden_state_dict())
    with pytest.raises(UserError, match=r"latent_vocal\.npy"):
        import_published(pth, tmp_path / "nowhere", tmp_path / "c.safetensors")
