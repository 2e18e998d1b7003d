"""The paper's network with seeded weights, as a checkpoint, a codec and a bundle: what every runner computes with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from samuel_export.bundle import write_bundle
from samuel_export.precision.weights import WeightFormat
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.diffusion.guidance import Guidance
from samuel_train.codec import Codec
from samuel_train.codec.model.files import save_small_codec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.codec.model.small_config import SmallCodecConfig
from samuel_train.model.checkpoint import Checkpoint, save_checkpoint
from samuel_train.model.config import Alignment, ModelConfig
from samuel_train.model.denoiser import Denoiser

FRAMES = 1024
"""A song of the published data set, 47.5 s."""
GUIDANCE = 3.0
"""The paper's."""


@dataclass(frozen=True, eq=False)
class Paper:
    """One set of weights for all runners."""

    model: Denoiser
    """In PyTorch, in evaluation mode."""
    checkpoint: Path
    """The same in a file."""
    codec: Path
    """Folder of a codec of the packaged size, where that is the bundle's."""
    bundle: Path
    """Both, exported."""


def make_paper(folder: Path, codec: Codec | None = None) -> Paper:
    """Write checkpoint, codec and bundle below ``folder``; takes about a minute with a codec of the packaged size.

    The attention is the published code's, so that published weights could be put in. Weights are random; what
    is zero at the start of training is moved off it, so that agreement says much.
    """
    torch.manual_seed(0)
    model = Denoiser(ModelConfig(alignment=Alignment.PUBLISHED_CODE)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    if codec is None:
        codec = SmallCodec(SmallCodecConfig(), provenance="random, for benchmarks").eval()
        save_small_codec(folder / "codec", codec)
    weights = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    checkpoint = Checkpoint(model.config, _statistics(), weights, {"weights": "random, for benchmarks"}, frames_min=256)
    save_checkpoint(folder / "checkpoint.safetensors", checkpoint)
    write_bundle(checkpoint, codec, folder / "bundle", WeightFormat.FP32, Guidance(GUIDANCE), say=lambda line: None)
    return Paper(model, folder / "checkpoint.safetensors", folder / "codec", folder / "bundle")


def latents(seed: int, frames: int = FRAMES) -> np.ndarray:
    """Standard normal float32 (1, 64, frames)."""
    return np.random.default_rng(seed).standard_normal((1, 64, frames)).astype(np.float32)


def _statistics() -> Statistics:
    generator = np.random.default_rng(2)
    means, deviations = generator.normal(size=(2, 64)), generator.uniform(0.5, 2, size=(2, 64))
    return Statistics(means[0], deviations[0], means[1], deviations[1], -5.0, 5.0)
