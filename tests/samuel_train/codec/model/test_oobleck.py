"""Oobleck through diffusers, with a small random autoencoder in place of the gated one."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from samuel_runtime.errors import UserError
from samuel_train.codec import decoder_context_frames, encoder_context_frames, load_codec
from samuel_train.codec.model.oobleck import OobleckCodec, fold_weight_norm

diffusers = pytest.importorskip("diffusers")

HOP = 8
LATENTS = 4
WEIGHTS = "diffusion_pytorch_model.safetensors"


def small_autoencoder() -> Any:
    torch.manual_seed(0)
    autoencoder = diffusers.AutoencoderOobleck(
        encoder_hidden_size=2 * LATENTS,
        downsampling_ratios=[2, 4],
        channel_multiples=[1, 2],
        decoder_channels=6,
        decoder_input_channels=LATENTS,
    ).eval()
    for name, parameter in autoencoder.named_parameters():
        if name.endswith("weight_g"):  # norms that differ from their weights', so that folding has work to do
            parameter.data.mul_(torch.rand_like(parameter) + 0.5)
    return autoencoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_autoencoder().save_pretrained(tmp_path / "oobleck")
    return tmp_path / "oobleck"


def audio(frames: int) -> torch.Tensor:
    return 0.1 * torch.randn(1, 2, frames * HOP, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_encodes_to_the_posteriors_mean_and_decodes_like_diffusers(folder: Path) -> None:
    codec, reference = load_codec(folder), small_autoencoder()
    assert isinstance(codec, OobleckCodec)
    latents = codec.encoder(audio(6))
    assert latents.shape == (1, LATENTS, 6)
    assert torch.allclose(latents, reference.encode(audio(6)).latent_dist.mean, atol=1e-6)
    assert torch.allclose(codec.decoder(latents), reference.decode(latents).sample, atol=1e-6)


def test_facts_come_from_the_config(folder: Path) -> None:
    facts = load_codec(folder).facts
    assert (facts.hop_samples, facts.latent_channels, facts.channels) == (HOP, LATENTS, 2)
    assert facts.sample_rate_hz == 44100
    assert load_codec(folder).licence == "Stability AI Community License"


def test_the_published_sizes_have_a_hop_of_2048() -> None:
    with torch.device("meta"):
        published = diffusers.AutoencoderOobleck()
    assert published.hop_length == 2048
    assert published.config.encoder_hidden_size == 2 * published.config.decoder_input_channels


def test_weight_norm_is_folded(folder: Path) -> None:
    assert not [name for name, _ in load_codec(folder).named_parameters() if "weight_g" in name]


def test_folding_serves_both_kinds_of_weight_norm() -> None:
    torch.manual_seed(0)
    old = torch.nn.utils.weight_norm(torch.nn.Conv1d(2, 3, 5))
    new = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(3, 2, 5))
    module = torch.nn.Sequential(old, new)
    expected = module(audio(4))
    fold_weight_norm(module)
    assert sorted(dict(module.named_parameters())) == ["0.bias", "0.weight", "1.bias", "1.weight"]
    assert torch.allclose(module(audio(4)), expected, atol=1e-6)


@torch.no_grad()
def test_overlapping_chunks_equal_the_whole_song(folder: Path) -> None:
    codec = load_codec(folder)
    whole = codec.encoder(audio(96))
    before, after = encoder_context_frames(codec)
    chunk = codec.encoder(audio(96)[..., (40 - before) * HOP : (44 + after) * HOP])
    assert torch.allclose(chunk[..., before : before + 4], whole[..., 40:44], atol=1e-6)
    decoded = codec.decoder(whole)
    before, after = decoder_context_frames(codec)
    chunk = codec.decoder(whole[..., 40 - before : 44 + after])
    assert torch.allclose(chunk[..., before * HOP : (before + 4) * HOP], decoded[..., 40 * HOP : 44 * HOP], atol=1e-6)


def test_a_pipeline_folder_holds_it_in_vae(folder: Path) -> None:
    folder.rename(folder.with_name("vae"))
    (folder.parent / "model_index.json").write_text("{}")
    assert isinstance(load_codec(folder.parent), OobleckCodec)


def test_pickled_weights_are_not_read(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "diffusion_pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    with pytest.raises(UserError, match="do not load"):
        load_codec(folder)


def test_a_missing_tensor_is_not_made_up(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    del weights["decoder.conv1.bias"]
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"decoder\.conv1\.bias"):
        load_codec(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder_channels": 10**6}, "larger than any"),
        ({"downsampling_ratios": [512, 512]}, "larger than any"),
        ({"downsampling_ratios": [3, 4]}, "must be even"),
        ({"downsampling_ratios": [2]}, "equally long"),
        ({"downsampling_ratios": "ab"}, "no short list"),
        ({"decoder_input_channels": 5}, "must be twice"),
        ({"sampling_rate": None}, "sampling_rate is missing"),
    ],
)
def test_a_config_out_of_bounds_is_refused_before_anything_is_built(
    folder: Path, change: dict[str, object], message: str
) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        load_codec(folder)


def test_a_refused_download_says_how_to_get_access(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(source: str, **options: object) -> None:
        assert options["use_safetensors"] is True
        assert options["subfolder"] == "vae"
        raise OSError("401 Client Error.\nAccess to model is restricted.")

    monkeypatch.setattr(diffusers.AutoencoderOobleck, "from_pretrained", refused)
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **options: nullcontext())
    with pytest.raises(UserError) as refusal:
        load_codec("stabilityai/stable-audio-open-1.0")
    message = str(refusal.value)
    assert message.startswith("stabilityai/stable-audio-open-1.0: ")
    for part in ("401 Client Error", "Stability AI Community License", "hf auth login", "--codec"):
        assert part in message
    assert "\n" not in message
