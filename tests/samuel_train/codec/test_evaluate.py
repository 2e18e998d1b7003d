"""The codec's measures against codecs whose faults are known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from samuel_runtime.errors import UserError
from samuel_train.cli import evaluate_codec as evaluate_cli
from samuel_train.codec.evaluate import Measures, recordings_measured
from samuel_train.codec.fit.excerpts import Excerpt, excerpt_of, excerpts_of
from samuel_train.codec.model.base import Codec, SignalFacts
from samuel_train.codec.model.files import save_small_codec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.data.stem_reader import open_songs
from samuel_train.evaluate.metrics import pitch
from tests.samuel_train.codec.fit.test_loop import write_song
from tests.support.train.tiny_codec import TINY

RATE_HZ, HOP = 44_100, 64
FACTS = SignalFacts(sample_rate_hz=RATE_HZ, hop_samples=HOP, latent_channels=2 * HOP)

pytestmark = pytest.mark.usefixtures("librosa_compiled")


class _Folded(nn.Module):
    """Samples as latents: (batch, 2, samples) to (batch, 2 * hop, frames)."""

    def forward(self, audio: Tensor) -> Tensor:
        return audio.unflatten(2, (-1, HOP)).permute(0, 1, 3, 2).flatten(1, 2)


class _Unfolded(nn.Module):
    """Back, with a fault: a gain of mid and one of side."""

    def __init__(self, mid: float, side: float) -> None:
        super().__init__()
        self.mid, self.side = mid, side

    def forward(self, latents: Tensor) -> Tensor:
        left, right = latents.unflatten(1, (2, HOP)).transpose(2, 3).flatten(2).unbind(1)
        mid, side = self.mid * (left + right) / 2, self.side * (left - right) / 2
        return torch.stack([mid + side, mid - side], dim=1)


def faulty(mid: float = 1.0, side: float = 1.0) -> Codec:
    codec = Codec(FACTS, "a test", "MIT")
    codec.encoder, codec.decoder = _Folded(), _Unfolded(mid, side)
    return codec


def music(kind: str = "band") -> Excerpt:
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(512 * HOP) / RATE_HZ
    tone = 0.2 * torch.sin(2 * math.pi * 440 * time) + 0.01 * torch.randn(len(time), generator=generator)
    side = 0.02 * torch.randn(len(time), generator=generator)
    return Excerpt(kind, torch.stack([tone + side, tone - side]))


def measured(codec: Codec) -> Measures:
    return recordings_measured(codec, [music()])[0]["band"]


def test_a_perfect_codec_has_no_faults() -> None:
    found = measured(faulty())
    assert found.log_mel < 1e-4
    assert found.log_mel_below_8k < 1e-4
    assert found.fine_db < 1e-3
    assert abs(found.level_db) < 1e-4
    assert found.width == pytest.approx(found.true_width, rel=1e-4)


def test_half_the_amplitude_is_six_decibels_and_log_two() -> None:
    found = measured(faulty(0.5, 0.5))
    assert found.level_db == pytest.approx(-6.02, abs=0.01)
    assert found.level_error_db == pytest.approx(6.02, abs=0.01)
    assert found.log_mel == pytest.approx(math.log(2), rel=1e-3)


def test_a_wider_image_is_seen() -> None:
    found = measured(faulty(1.0, 2.0))
    assert found.width > 3 * found.true_width


def test_noise_on_the_latents_costs_what_it_adds() -> None:
    """The faulty codec's distance is log 1.1 everywhere; noise of a fifth of the signal adds to its quiet bands."""
    cost = measured(faulty(1.1, 1.1)).noise_cost
    assert cost is not None and cost > 1


def test_kinds_are_averaged_apart_and_references_stand_beside_bands() -> None:
    quiet = Excerpt("voice", 0.1 * music().audio)
    kinds, latents = recordings_measured(faulty(0.5, 0.5), [music(), quiet, quiet])
    assert list(kinds) == ["band", "band, MP3, 32 kbit/s", "band, Opus, 24 kbit/s", "voice"]
    assert kinds["voice"].level_db == pytest.approx(-6.02, abs=0.01)
    assert abs(kinds["band, Opus, 24 kbit/s"].level_db) < 1 and kinds["band, MP3, 32 kbit/s"].noise_cost is None
    assert latents.shape[2] == 3 * 512


def test_a_recording_of_another_rate_in_mono_is_heard_as_stereo(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "singing.wav", np.zeros(48_000), 48_000)
    excerpt = excerpt_of(tmp_path / "singing.wav", RATE_HZ, 2048)
    assert excerpt.kind == "singing"
    assert excerpt.audio.shape == (2, 44_100 // 2048 * 2048)
    soundfile.write(tmp_path / "blip.wav", np.zeros(100), 48_000)
    with pytest.raises(UserError, match=r"blip\.wav: shorter than 2048 samples"):
        excerpt_of(tmp_path / "blip.wav", RATE_HZ, 2048)


def test_voice_band_and_mix_of_every_song_are_heard(tmp_path: Path) -> None:
    for index in range(2):
        write_song(tmp_path / f"song_{index}", index)
    excerpts = excerpts_of(open_songs(tmp_path, RATE_HZ, 2048)[0], 2048)
    assert [excerpt.kind for excerpt in excerpts] == ["voice", "band", "mix"] * 2
    voice, band, mix = (excerpt.audio for excerpt in excerpts[:3])
    assert torch.allclose(mix, (voice + band) / 2)


def test_the_command_prints_rows_and_writes_json_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pitch, "_MIDI", range(28, 85, 14))
    monkeypatch.setattr(pitch, "_TONES_EACH", 1)
    monkeypatch.setattr(pitch, "_BASSES", 2)
    write_song(tmp_path / "stems" / "song_0", 0)
    soundfile.write(tmp_path / "singing.wav", 0.1 * np.ones(30_000), RATE_HZ)
    torch.manual_seed(0)
    save_small_codec(tmp_path / "codec", SmallCodec(TINY))
    output = tmp_path / "codec.json"
    arguments = [str(tmp_path / "codec"), str(tmp_path / "stems"), "--recording", str(tmp_path / "singing.wav")]
    result = CliRunner().invoke(evaluate_cli.command, [*arguments, "-o", str(output)], catch_exceptions=False)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()[1:5]] == ["voice", "band", "band,", "band,"]
    assert set(json.loads(output.read_text())["kinds"]) >= {"voice", "band", "mix", "singing", "band, MP3, 32 kbit/s"}
    assert output.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_results_go_to_json(tmp_path: Path) -> None:
    write_song(tmp_path / "song_0", 0)
    result = CliRunner().invoke(evaluate_cli.command, ["codec", str(tmp_path), "-o", str(tmp_path / "x.txt")])
    assert isinstance(result.exception, UserError)
    assert "a .json file" in str(result.exception)
