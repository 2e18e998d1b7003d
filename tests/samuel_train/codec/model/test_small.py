"""The small codec: size, reach, silence, and a folder that loads only when whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from samuel_runtime.codec.spectrum import SPECTRUM_WIDTHS
from samuel_runtime.errors import UserError
from samuel_train.codec import decoder_context_frames, encoder_context_frames, load_codec, pack
from samuel_train.codec.model.files import load_small_codec, save_small_codec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.codec.model.small_config import SmallCodecConfig
from tests.support.train.tiny_codec import TINY


def tiny_codec(seed: int = 0) -> SmallCodec:
    torch.manual_seed(seed)
    codec = SmallCodec(TINY, provenance="a test", licence="MIT").eval()
    assert codec.encoder.long is not None
    for begins_at_zero in (codec.decoder.envelope, codec.encoder.long.leave):
        torch.nn.init.normal_(begins_at_zero.weight, std=0.1)
    return codec


def noise(frames: int, seed: int = 1) -> torch.Tensor:
    return 0.1 * torch.randn(1, 2, frames * 2048, generator=torch.Generator().manual_seed(seed))


def relative(value: torch.Tensor, expected: torch.Tensor) -> float:
    return ((value - expected).norm() / expected.norm()).item()


def test_the_default_keeps_to_its_budget() -> None:
    with torch.device("meta"):
        codec = SmallCodec(SmallCodecConfig())
    assert 8.6e6 < sum(parameter.numel() for parameter in codec.parameters()) < 8.8e6
    assert codec.facts.hop_samples == 2048
    assert codec.facts.latent_channels == 64


@torch.no_grad()
def test_frames_in_frames_out() -> None:
    codec = tiny_codec()
    latents = codec.encoder(noise(5))
    assert latents.shape == (1, 8, 5)
    assert {name: value.shape for name, value in codec.decoder(latents).items()} == {
        name: (1, 5 * 4, width) for name, width in SPECTRUM_WIDTHS.items()
    }
    assert codec.decode(latents).shape == (1, 2, 5 * 2048)


@torch.no_grad()
def test_overlapping_chunks_equal_the_whole_song() -> None:
    codec = tiny_codec()
    audio = noise(40)
    before, after = encoder_context_frames(codec)
    latents = codec.encoder(audio)
    chunk = codec.encoder(audio[..., (15 - before) * 2048 : (20 + after) * 2048])
    assert relative(chunk[..., before : before + 5], latents[..., 15:20]) < 1e-5
    before, after = decoder_context_frames(codec)
    decoded, chunk = codec.decoder(latents), codec.decoder(latents[..., 15 - before : 20 + after])
    for name, value in decoded.items():
        assert (
            relative(chunk[name][:, before * 4 : (before + 5) * 4], value[:, 15 * 4 : 20 * 4]) < 1e-5 or not value.any()
        )


@torch.no_grad()
def test_one_frame_less_context_is_not_enough() -> None:
    codec = tiny_codec()
    before, after = decoder_context_frames(codec)
    latents = torch.randn(1, 8, 40, generator=torch.Generator().manual_seed(0))
    decoded = codec.decoded_frames(codec.decoder(latents))[15:20]
    for less_before, less_after in ((1, 0), (0, 1)):
        first = 15 - before + less_before
        chunk = codec.decoded_frames(codec.decoder(latents[..., first : 20 + after - less_after]))
        assert not torch.equal(chunk[15 - first : 20 - first], decoded)


@torch.no_grad()
def test_silence_is_finite_both_ways() -> None:
    codec = tiny_codec()
    latents = codec.encoder(torch.zeros(1, 2, 4 * 2048))
    assert latents.isfinite().all()
    assert codec.decode(torch.zeros_like(latents)).isfinite().all()


def test_a_saved_codec_comes_back(tmp_path: Path) -> None:
    codec = tiny_codec()
    save_small_codec(tmp_path / "codec", codec)
    loaded = load_codec(tmp_path / "codec")
    assert isinstance(loaded, SmallCodec)
    assert loaded.config == TINY
    assert (loaded.provenance, loaded.licence) == ("a test", "MIT")
    assert not loaded.training
    with torch.no_grad():
        assert torch.equal(loaded.encoder(noise(3)), codec.encoder(noise(3)))


def test_a_codec_is_packed_in_half_the_space(tmp_path: Path) -> None:
    codec = tiny_codec()
    save_small_codec(tmp_path / "codec", codec)
    ran = CliRunner().invoke(pack.command, [str(tmp_path / "codec"), "-o", str(tmp_path / "packed")])
    assert ran.exit_code == 0, ran.output
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("codec", "packed")]
    assert sizes[1] < 0.6 * sizes[0]
    packed = load_small_codec(tmp_path / "packed")
    assert (packed.provenance, packed.licence) == ("a test", "MIT")
    assert all(parameter.dtype == torch.float32 for parameter in packed.parameters())
    with torch.no_grad():
        assert relative(packed.encoder(noise(3)), codec.encoder(noise(3))) < 3e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown key colour"),
        ({"encoder_width": 10**9}, "encoder_width must be an integer"),
        ({"encoder_width": 16.0}, "encoder_width must be an integer"),
        ({"kernel_frames": 4}, "kernel_frames must be odd"),
        ({"_class_name": "Other"}, "_class_name must be SamuelCodec"),
        ({"encoder_width": 17}, "does not belong to the config.json"),
        ({"encoder_blocks": 2}, "misses encoder.fine.1"),
        ({"encoder_blocks": 0}, "has an unexpected encoder.fine.0"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    save_small_codec(tmp_path, tiny_codec())
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        load_small_codec(tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    save_small_codec(tmp_path, tiny_codec())
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not readable as safetensors"):
        load_small_codec(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match="missing"):
        load_small_codec(tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    save_small_codec(tmp_path, tiny_codec())
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    weights["encoder.skip.bias"][3] = torch.nan
    save_file(weights, path)
    with pytest.raises(UserError, match=r"encoder\.skip\.bias holds values that are not finite"):
        load_small_codec(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"_class_name": ' + '"x' * 40000])
def test_a_config_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json"):
        load_codec(tmp_path)


def test_a_folder_without_a_codec_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"looked for config\.json naming SamuelCodec or AutoencoderOobleck"):
        load_codec(tmp_path)
