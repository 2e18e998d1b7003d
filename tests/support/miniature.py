"""A miniature model, codec and bundle with random weights: every path of the software in a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from samuel_export.bundle import write_bundle
from samuel_export.parity import compare
from samuel_export.precision.weights import WeightFormat
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.diffusion.guidance import Guidance
from samuel_train.codec import Codec, load_codec
from samuel_train.codec.model.files import save_small_codec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.codec.model.small_config import SmallCodecConfig
from samuel_train.model.checkpoint import Checkpoint, save_checkpoint
from samuel_train.model.config import Alignment, ModelConfig, Prediction
from samuel_train.model.denoiser import Denoiser

CONFIG = ModelConfig(base_channels=16, time_width=32)
CODEC_CONFIG = SmallCodecConfig(
    encoder_width=16, encoder_blocks=1, encoder_latent_width=16, encoder_latent_blocks=1, encoder_long_width=8,
    decoder_latent_width=16, decoder_latent_blocks=1, decoder_width=16, decoder_blocks=1,
    low_band_width=4, high_band_width=4, partial_width=8,
)  # fmt: skip


def miniature_model(
    alignment: Alignment = Alignment.DOCUMENTED, prediction: Prediction = Prediction.V, **beyond_the_paper: int
) -> Denoiser:
    """A seeded denoiser in which every weight matters: what starts at zero or one is moved off it."""
    chosen = {"alignment": alignment, "prediction": prediction, **beyond_the_paper}
    config = ModelConfig(**{**CONFIG.to_dict(), **chosen})
    torch.manual_seed(1)
    model = Denoiser(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return model


def miniature_statistics() -> Statistics:
    """Statistics that are not the identity."""
    generator = np.random.default_rng(2)
    means, deviations = generator.normal(size=(2, 64)), generator.uniform(0.5, 2, size=(2, 64))
    return Statistics(means[0], deviations[0], means[1], deviations[1], -5.0, 5.0)


def miniature_checkpoint(path: Path, codec: Path, model: Denoiser | None = None) -> Checkpoint:
    """Save a checkpoint of the miniature model."""
    model = model or miniature_model()
    weights = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    provenance = {"weights": "random, for tests", "codec": str(codec)}
    checkpoint = Checkpoint(model.config, miniature_statistics(), weights, provenance, frames_min=16)
    save_checkpoint(path, checkpoint)
    return checkpoint


def miniature_codec(folder: Path) -> Codec:
    """Save a small codec with random weights, in which what begins at zero has an effect, too."""
    torch.manual_seed(3)
    codec = SmallCodec(CODEC_CONFIG)
    assert codec.encoder.long is not None
    for begins_at_zero in (codec.encoder.long.leave, codec.decoder.envelope):
        torch.nn.init.normal_(begins_at_zero.weight, std=0.1)
    save_small_codec(folder, codec)
    return load_codec(folder)


_signs = lru_cache(maxsize=16)(compare._signs.__wrapped__)


def short_reports(patch: pytest.MonkeyPatch) -> None:
    """Let exports have short windows, and reports of few steps and short songs: every verification repeats them."""
    patch.setattr("samuel_export.bundle.DEFAULT_STEPS", 4)
    patch.setattr("samuel_export.metadata.WINDOW_FRAMES", 512)
    patch.setattr(compare, "_signs", _signs)  # all sizes of all reports, which are small here
    patch.setattr("samuel_export.parity.cases._SONG_FRAMES", 152)  # two chunks of the codec
    patch.setattr("samuel_export.parity.cases._TRAJECTORY_FRAMES", 128)
    # A random decoder plays noise, in which half precision decides more ties of two peaks than in music.
    patch.setattr("samuel_export.parity.cases._INAUDIBLE", 0.1)


def miniature_bundle(
    folder: Path,
    weight_format: WeightFormat = WeightFormat.FP32,
    reports: Callable[[pytest.MonkeyPatch], None] = short_reports,
) -> Path:
    """Make checkpoint, codec and bundle below ``folder``; returns the bundle.

    ``reports`` makes them short.
    """
    codec = miniature_codec(folder / "codec")
    checkpoint = miniature_checkpoint(folder / "checkpoint.safetensors", folder / "codec")
    guidance = Guidance(2.0, down_to=100)
    with pytest.MonkeyPatch.context() as patch:
        reports(patch)
        return write_bundle(checkpoint, codec, folder / "bundle", weight_format, guidance, say=lambda line: None)
