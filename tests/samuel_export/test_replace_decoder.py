"""Another decoder in a bundle: proven, and refused where the encoder is another."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from samuel_export import cli
from samuel_export.read_back import codec as codec_of_bundle
from samuel_export.read_back.__main__ import command as read_back
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import REQUIRED_GRAPHS, DecoderKind, GraphName
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_train.codec import load_codec
from samuel_train.codec.model.files import save_small_codec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.codec.model.small_config import SmallCodecConfig
from tests.support.export.sabotage import edit_manifest
from tests.support.miniature import CODEC_CONFIG


@pytest.fixture
def made(bundle: Path) -> Path:
    """The folder with ``bundle`` and the ``codec`` it was made with; read it only."""
    return bundle.parent


def refined(made: Path, folder: Path) -> Path:
    """The codec with a decoder that went on learning."""
    codec = load_codec(made / "codec")
    assert isinstance(codec, SmallCodec)
    with torch.no_grad():
        codec.decoder.unstack.weight.add_(0.1)
    codec.provenance = "refined"
    save_small_codec(folder, codec)
    return folder


def test_everything_but_the_decoder_stays(made: Path, tmp_path: Path) -> None:
    arguments = [str(made / "bundle"), "--decoder", str(refined(made, tmp_path / "codec")), "-o", str(tmp_path / "new")]
    ran = CliRunner().invoke(cli.command, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    old, new = Bundle.open(made / "bundle"), Bundle.open(tmp_path / "new")
    for name in REQUIRED_GRAPHS:
        same = old.manifest.graphs[name].sha256 == new.manifest.graphs[name].sha256
        assert same is (name is not GraphName.DECODER)
    assert new.manifest.parity["passed"] is True and len(new.manifest.parity["probes"]) > 10
    assert new.manifest.provenance["codec"] == "refined"
    assert CliRunner().invoke(cli.command, ["--verify", str(tmp_path / "new")]).exit_code == 0
    assert Samuel.load(tmp_path / "new").manifest.model == old.manifest.model


def test_a_codec_with_another_encoder_is_refused(made: Path, tmp_path: Path) -> None:
    torch.manual_seed(9)
    save_small_codec(tmp_path / "codec", SmallCodec(CODEC_CONFIG))
    before = hashlib.sha256((made / "bundle" / "decoder.onnx").read_bytes()).hexdigest()
    arguments = [str(made / "bundle"), "--decoder", str(tmp_path / "codec")]
    with pytest.raises(UserError, match="has another encoder"):
        CliRunner().invoke(cli.command, arguments, catch_exceptions=False)
    assert hashlib.sha256((made / "bundle" / "decoder.onnx").read_bytes()).hexdigest() == before


def test_a_decoder_needs_a_bundle(tmp_path: Path) -> None:
    ran = CliRunner().invoke(cli.command, ["--decoder", str(tmp_path)])
    assert ran.exit_code == 2 and "goes into a bundle" in ran.output


@torch.no_grad()
def test_a_codec_is_read_back_as_it_was(made: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(read_back, [str(made / "bundle"), "-o", str(tmp_path / "codec")])
    assert ran.exit_code == 0, ran.output
    audio = 0.1 * torch.randn(1, 2, 12 * 2048, generator=torch.Generator().manual_seed(0))
    before, after = (load_codec(folder) for folder in (made / "codec", tmp_path / "codec"))
    latents = before.encoder(audio)
    assert (after.encoder(audio) - latents).norm() < 1e-5 * latents.norm()
    expected, found = before.decoder(latents), after.decoder(latents)
    for name, value in expected.items():
        assert (found[name] - value).norm() < 1e-5 * value.norm(), name
    assert isinstance(before, SmallCodec) and isinstance(after, SmallCodec)
    assert after.config == before.config
    with pytest.raises(UserError, match="exists"):
        CliRunner().invoke(read_back, [str(made / "bundle"), "-o", str(tmp_path / "codec")], catch_exceptions=False)


def test_a_defect_in_reading_back_was_called_another_kind_of_codec(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: object) -> None:
        raise IndexError("a defect")

    monkeypatch.setattr(codec_of_bundle, "_fill", broken)
    with pytest.raises(IndexError, match="a defect"):
        codec_of_bundle.read_codec(made / "bundle")


def test_an_encoder_that_cannot_be_read_back_is_refused(
    made: Path, bundle_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_manifest(bundle_copy, lambda manifest: manifest["graphs"]["encoder"].update(precision="fp16"))
    with pytest.raises(UserError, match="its encoder is typed in fp16"):
        codec_of_bundle.read_codec(bundle_copy)
    other = Bundle.open(made / "bundle").read_graph(GraphName.STEP)
    monkeypatch.setattr(Bundle, "read_graph", lambda self, name: other)
    with pytest.raises(UserError, match="was not made by `samuel-train codec`"):
        codec_of_bundle.read_codec(made / "bundle")


def test_a_decoder_older_than_spectral_ones_begins_anew(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Bundle.open(made / "bundle")
    codec = opened.manifest.codec.model_copy(update={"decoder": DecoderKind.WAVEFORM})
    older = dataclasses.replace(opened, manifest=opened.manifest.model_copy(update={"codec": codec}))
    whole = codec_of_bundle.read_codec(made / "bundle")
    monkeypatch.setattr(Bundle, "open", lambda folder: older)
    found = codec_of_bundle.read_codec(made / "bundle")
    pairs = zip(found.encoder.parameters(), whole.encoder.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert found.decoder.width == SmallCodecConfig().decoder_width != whole.decoder.width


def test_a_precision_without_effect_is_refused(made: Path) -> None:
    arguments = [str(made / "bundle"), "--decoder", str(made / "codec"), "--precision", "fp16"]
    ran = CliRunner().invoke(cli.command, arguments)
    assert ran.exit_code == 2 and "--precision has no effect with --decoder" in ran.output
