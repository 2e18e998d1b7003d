"""A random Oobleck with the published hop and few channels."""

from __future__ import annotations

from pathlib import Path

import diffusers
import torch

HOP = 2048


def save_small_oobleck(folder: Path, latent_channels: int) -> Path:
    torch.manual_seed(4)
    autoencoder = diffusers.AutoencoderOobleck(
        encoder_hidden_size=2 * latent_channels,  # diffusers gives the encoder's output this many channels too
        downsampling_ratios=[32, 64],
        channel_multiples=[1, 1],
        decoder_channels=4,
        decoder_input_channels=latent_channels,
    )
    for name, parameter in autoencoder.named_parameters():
        if name.endswith("weight_g"):  # norms that differ from their weights', so that folding has work to do
            parameter.data.mul_(torch.rand_like(parameter) + 0.5)
    autoencoder.save_pretrained(folder)
    return folder
