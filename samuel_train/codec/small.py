"""Samuel's own small codec: a spectrum, ConvNeXt blocks, 64 latents a frame, and back through an inverse STFT.

A Vocos-like design (Siuzdak, 2023) for CPUs: every learned layer runs at 21.5 or 86 frames a second, none at
the sample rate. The stages, with the rate of each:

    waveform -> spectrum of mid and side -> features -> ConvNeXt       86 Hz
             -> four frames stacked -> ConvNeXt -> latents             21.5 Hz
    latents  -> ConvNeXt                                               21.5 Hz
             -> four frames unstacked -> ConvNeXt -> level and phase   86 Hz   -> inverse STFT
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from samuel_train.codec.base import Codec, SignalFacts
from samuel_train.codec.convnext import ConvNextBlock
from samuel_train.codec.small_config import SmallCodecConfig
from samuel_train.codec.stft import BINS, LATTICE_SAMPLES, STEPS, Analysis, Synthesis

_CHANNELS = 2
POWER_FLOOR = 1e-10  # a lower clamp, because ONNX graph optimisers drop the addition of so small a constant
LEVEL_CENTRE, LEVEL_SPREAD = -7.0, 3.0  # log magnitudes of music, roughly
# No partial of a mix is louder than half of full scale. Without this lid the exponential turns small errors of
# generated latents into bursts of ten times full scale; songs that were only encoded and decoded hardly touch it.
LOUDEST_LOG_MAGNITUDE = math.log(0.5)

# Bins are read one by one up to 5.5 kHz, by fours up to 11 kHz and by eights above.
SINGLE_BINS, FOURFOLD_BINS = 256, 512
_GROUPS = SINGLE_BINS + (FOURFOLD_BINS - SINGLE_BINS) // 4 + (BINS - FOURFOLD_BINS) // 8
PHASED_BINS = 128  # below 2.8 kHz the encoder hears the phase of mid as well
PHASE_COMPRESSION = -0.35  # of power, by which magnitudes come out to the power 0.3
SKIP_GROUP = 4
SKIP_FEATURES = STEPS * _CHANNELS * _GROUPS // SKIP_GROUP
"""Inputs of the encoder's linear skip: a coarse log spectrum of the whole latent frame."""

BAND_BINS = 32
LOW_BANDS, HIGH_BANDS = 8, BINS // BAND_BINS - 8
VALUES = 3  # a bin's log magnitude and the two components of its direction


class SmallEncoder(nn.Module):
    """(batch, 2, frames * 2048) to (batch, latent_channels, frames)."""

    def __init__(self, config: SmallCodecConfig) -> None:
        super().__init__()
        self.analysis = Analysis()
        features = _CHANNELS * _GROUPS + 2 * PHASED_BINS
        self.enter = nn.Linear(features, config.encoder_width)
        self.fine = _blocks(config.encoder_blocks, config.encoder_width, config)
        self.stack = nn.Linear(STEPS * config.encoder_width, config.encoder_latent_width)
        self.coarse = _blocks(config.encoder_latent_blocks, config.encoder_latent_width, config)
        self.leave = nn.Linear(config.encoder_latent_width, config.latent_channels)
        self.skip = nn.Linear(SKIP_FEATURES, config.latent_channels)

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, 2, frames * 2048) to (batch, latent_channels, frames)."""
        levels, phased = self.features(audio)
        latents = self.skip(self.skip_features(levels)) + self.learned(torch.cat([levels, phased], dim=-1))
        return latents.transpose(1, 2)  # (batch, latent_channels, frames)

    def features(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Log magnitudes of mid and side (batch, 4 frames, 2 * groups), and mid's compressed low spectrum
        (batch, 4 frames, 2 * phased bins)."""
        left, right = audio[:, :1], audio[:, 1:]
        mid_side = torch.cat([left + right, left - right], dim=1) / 2
        real, imaginary = self.analysis(mid_side)  # each (batch, 2, 4 frames, bins)
        power = (real.square() + imaginary.square()).clamp(min=POWER_FLOOR)
        fourfold = power[..., SINGLE_BINS:FOURFOLD_BINS].unflatten(-1, (-1, 4)).mean(-1)
        eightfold = power[..., FOURFOLD_BINS:].unflatten(-1, (-1, 8)).mean(-1)
        groups = torch.cat([power[..., :SINGLE_BINS], fourfold, eightfold], dim=-1)
        levels = (groups.log() / 2 - LEVEL_CENTRE) / LEVEL_SPREAD
        levels = levels.transpose(1, 2).flatten(2)  # (batch, 4 frames, 2 * groups)
        low = slice(0, PHASED_BINS)
        compression = power[:, 0, :, low].pow(PHASE_COMPRESSION)
        phased = torch.cat([real[:, 0, :, low] * compression, imaginary[:, 0, :, low] * compression], dim=-1)
        return levels, phased

    def skip_features(self, levels: Tensor) -> Tensor:
        """(batch, 4 frames, 2 * groups) to (batch, frames, SKIP_FEATURES): means of four neighbouring groups."""
        coarse = levels.unflatten(-1, (-1, SKIP_GROUP)).mean(-1)  # (batch, 4 frames, 2 * groups / 4)
        return coarse.unflatten(1, (-1, STEPS)).flatten(2)

    def learned(self, features: Tensor) -> Tensor:
        """(batch, 4 frames, features) to (batch, frames, latent_channels)."""
        x = self.fine(self.enter(features))
        x = self.stack(x.unflatten(1, (-1, STEPS)).flatten(2))  # four frames side by side in the channels
        return self.leave(self.coarse(x))


class SmallDecoder(nn.Module):
    """(batch, latent_channels, frames) to (batch, 2, frames * 2048)."""

    def __init__(self, config: SmallCodecConfig) -> None:
        super().__init__()
        self.width = config.decoder_width
        self.enter = nn.Linear(config.latent_channels, config.decoder_latent_width)
        self.coarse = _blocks(config.decoder_latent_blocks, config.decoder_latent_width, config)
        self.unstack = nn.Linear(config.decoder_latent_width, STEPS * config.decoder_width)
        self.fine = _blocks(config.decoder_blocks, config.decoder_width, config)
        self.norm = nn.LayerNorm(config.decoder_width)
        self.low = BandHead(config.decoder_width, LOW_BANDS, config.low_band_width)
        self.high = BandHead(config.decoder_width, HIGH_BANDS, config.high_band_width)
        self.synthesis = Synthesis()

    def forward(self, latents: Tensor) -> Tensor:
        """(batch, latent_channels, frames) to (batch, 2, frames * 2048)."""
        return self.waveform(self.learned(latents))

    def waveform(self, values: Tensor) -> Tensor:
        """(batch, 2 * 3, 4 frames, bins) of mid and side to left and right, (batch, 2, frames * 2048)."""
        mid, side = self.synthesis(*self.spectrum(values)).chunk(2, dim=1)
        return torch.cat([mid + side, mid - side], dim=1)

    def learned(self, latents: Tensor) -> Tensor:
        """(batch, latent_channels, frames) to (batch, 2 channels * 3 values, 4 frames, bins)."""
        x = self.coarse(self.enter(latents.transpose(1, 2)))
        x = self.unstack(x).unflatten(2, (STEPS, self.width)).flatten(1, 2)  # (batch, 4 frames, width)
        x = self.norm(self.fine(x))
        return torch.cat([self.low(x), self.high(x)], dim=-1)

    def spectrum(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 2 * 3, 4 frames, bins) to real and imaginary parts of mid and side, (batch, 2, 4 frames, bins)."""
        level, across, up = values.chunk(VALUES, dim=1)
        log_magnitude = (level * LEVEL_SPREAD + LEVEL_CENTRE).clamp(max=LOUDEST_LOG_MAGNITUDE)
        scale = log_magnitude.exp() * (across.square() + up.square()).clamp(min=POWER_FLOOR).rsqrt()
        return scale * across, scale * up


class BandHead(nn.Module):
    """Spectrum values of neighbouring bands of 32 bins, each band from a few hidden values of its own."""

    def __init__(self, width: int, bands: int, band_width: int) -> None:
        super().__init__()
        self.bands = bands
        self.band_width = band_width
        self.enter = nn.Linear(width, bands * band_width)
        self.activation = nn.GELU()
        outputs = _CHANNELS * VALUES * BAND_BINS
        self.weight = nn.Parameter(torch.randn(bands, band_width, outputs) * band_width**-0.5)
        self.bias = nn.Parameter(torch.zeros(bands, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width) to (batch, 2 channels * 3 values, frames, bands * 32)."""
        hidden = self.activation(self.enter(x)).unflatten(2, (self.bands, self.band_width))
        values = hidden.transpose(1, 2) @ self.weight + self.bias  # (batch, bands, frames, outputs)
        by_value = values.unflatten(3, (VALUES * _CHANNELS, BAND_BINS))  # (batch, bands, frames, 6, 32)
        return by_value.permute(0, 3, 2, 1, 4).flatten(3)  # (batch, 6, frames, bands * 32)


class SmallCodec(Codec):
    """Encoder and decoder with the config they are built from."""

    encoder: SmallEncoder
    decoder: SmallDecoder

    def __init__(self, config: SmallCodecConfig, provenance: str = "", licence: str = "MIT") -> None:
        facts = SignalFacts(
            sample_rate_hz=config.sample_rate_hz,
            hop_samples=LATTICE_SAMPLES,
            channels=_CHANNELS,
            latent_channels=config.latent_channels,
        )
        super().__init__(facts, provenance, licence)
        self.config = config
        self.encoder = SmallEncoder(config)
        self.decoder = SmallDecoder(config)


def _blocks(count: int, width: int, config: SmallCodecConfig) -> nn.Sequential:
    return nn.Sequential(*(ConvNextBlock(width, config.expansion, config.kernel_frames) for _ in range(count)))
