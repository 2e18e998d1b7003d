"""The denoiser: noisy accompaniment, vocals and a timestep in, the diffusion target out.

Cheung, Zhang & Chan, "SAMUeL: Efficient Vocal-Conditioned Music Generation via Soft Alignment Attention
and Latent Diffusion", arXiv 2507.19991. Parameter names are those of the published implementation.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from samuel_train.model.attention import SoftAlignment, mixing_weights
from samuel_train.model.config import FRAMES_MULTIPLE, ModelConfig
from samuel_train.model.embedding import timestep_embedding
from samuel_train.model.sheet_encoder import SheetEncoder
from samuel_train.model.unet import FiLM, UNet
from samuel_train.model.vocal_context import VocalContextEncoder

DEVIATION_MIN = 0.1
"""Added to a voice's deviation, so that a constant channel is not divided by zero."""
_FILM_SCALE = 0.02  # how far a fresh FiLM may stray from the identity


class TimeFeatures(NamedTuple):
    """All that the network needs of the timestep."""

    embedding: Tensor
    """(batch, time_width) e(t), sines and cosines: what the U-Net's FiLMs take."""
    hidden: Tensor
    """(batch, time_width) m(t), the MLP of e(t): what the first FiLM takes."""
    mixing: Tensor
    """(batch, 2) weights of local and global attention."""


class Denoiser(nn.Module):
    """The network.

    With e(t) the sinusoidal embedding and m(t) = Linear(SiLU(Linear(e(t)))):

        x' = Conv3(x);  c' = Conv3(vocals);  context = Align(x', c', t)
        h  = FiLM(x', context, m(t));  output = Conv1(UNet(h, context, e(t), t))

    Three things that the paper does not have: a vocal context encoder adds its result for the vocals to x' in the last
    line; a sheet encoder modulates every block of the U-Net by a lead sheet; with ``standardised_voice`` all of that
    takes :func:`standardised` vocals.
    """

    mixing: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        base, width = config.base_channels, config.time_width
        self.time_mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))
        self.x_encoder = nn.Conv1d(config.latent_channels, base, 3, padding=1)
        self.cond_encoder = nn.Conv1d(config.latent_channels, base, 3, padding=1)
        self.align = SoftAlignment(base, config)
        self.vocal_context = (
            VocalContextEncoder(config.latent_channels, config.vocal_context_width, base)
            if config.vocal_context_width
            else None
        )
        self.initial_film = FiLM(base, width)
        self.unet = UNet(config)
        self.sheet = SheetEncoder(config.sheet_width, self.unet.blocks) if config.sheet_width else None
        self.output_conv = nn.Conv1d(base, config.latent_channels, 1)
        # Follows from the config, so it moves with the model but is not saved with it.
        self.register_buffer("mixing", mixing_weights(config), persistent=False)
        _initialise(self)

    def time_features(self, t: Tensor, dtype: torch.dtype) -> TimeFeatures:
        """Everything that depends on the timestep alone, for t (batch,) int64."""
        embedding = timestep_embedding(t, self.config.time_width, dtype)
        return TimeFeatures(embedding, self.time_mlp(embedding), self.mixing[t].to(dtype))

    def conditioning(self, vocals: Tensor) -> Tensor:
        """Vocals (batch, latent_channels, frames) as the network takes them."""
        return standardised(vocals) if self.config.standardised_voice else vocals

    def forward(self, x: Tensor, vocals: Tensor, t: Tensor, sheet: Tensor | None = None) -> Tensor:
        """Predict the target (``config.prediction``) of the normalised latents ``x`` at timestep ``t``.

        Args:
            x: (batch, latent_channels, frames) noisy accompaniment, frames a multiple of 8.
            vocals: (batch, latent_channels, frames); zeros for the unconditional branch.
            t: (batch,) int64, 0 .. timesteps - 1.
            sheet: (batch, 34, frames) of the lead sheet, see samuel_runtime/leadsheet/raster.py; zeros for the
                unconditional branch, which is as good as none.

        Returns:
            (batch, latent_channels, frames)

        Raises:
            ValueError: if frames is not a multiple of 8.
        """
        if x.shape[-1] % FRAMES_MULTIPLE:
            raise ValueError(f"frames must be a multiple of {FRAMES_MULTIPLE}, not {x.shape[-1]}")
        time = self.time_features(t, x.dtype)
        vocals = self.conditioning(vocals)
        h = self.x_encoder(x)
        context = self.align(h, self.cond_encoder(vocals), time.mixing)
        if self.vocal_context is not None:
            h = h + self.vocal_context(vocals)
        h = self.initial_film(h, context, time.hidden)
        modulation = None if self.sheet is None or sheet is None else self.sheet(sheet)
        h = self.unet(h, context, time.embedding, time.mixing, modulation)
        return self.output_conv(h)


def standardised(vocals: Tensor) -> Tensor:
    """(v - m) / (s + 0.1) with m and s the mean and deviation of each channel over frames; zeros stay zeros.

    Args:
        vocals: (batch, latent_channels, frames)
    """
    centred = vocals - vocals.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True).sqrt() + DEVIATION_MIN)


def _initialise(model: Denoiser) -> None:
    """Start training from a quiet network: each FiLM near the identity and the output zero.

    A FiLM's gamma has no built-in 1, so its bias is 1 and all else small; PyTorch's defaults elsewhere.
    """
    for film in (module for module in model.modules() if isinstance(module, FiLM)):
        for projection in (film.time_proj, film.context_proj):
            weight, bias = projection.parameters()
            if not weight.is_meta:  # where only shapes are asked for, a normal draw would take seconds of imports
                nn.init.normal_(weight, std=_FILM_SCALE * weight.shape[1] ** -0.5)  # shape[1] is the fan-in
            nn.init.zeros_(bias)
        nn.init.ones_(film.time_proj.bias[: film.context_proj.in_channels])  # (2 n,) = [gamma; beta]
    for parameter in model.output_conv.parameters():
        nn.init.zeros_(parameter)
