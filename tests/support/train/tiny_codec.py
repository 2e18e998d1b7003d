"""A small codec small enough for tests."""

from __future__ import annotations

from samuel_train.codec.model.small_config import SmallCodecConfig

TINY = SmallCodecConfig(
    latent_channels=8,
    encoder_width=16,
    encoder_latent_width=16,
    encoder_latent_blocks=1,
    encoder_long_width=8,
    decoder_latent_width=16,
    decoder_latent_blocks=1,
    decoder_width=16,
    decoder_blocks=1,
    low_band_width=4,
    high_band_width=2,
    partial_width=8,
)
