"""Samuel's own small codec: a spectrum, ConvNeXt blocks, 64 latents a frame, and back to a spectrum.

Made for CPUs, as Vocos is (Siuzdak, 2023): every learned layer runs at 21.5 or 86 frames a second, none at the sample
rate. The stages, with the rate of each:

    waveform -> spectrum of mid and side -> features -> ConvNeXt              86 Hz
             -> four frames stacked, long windows of the lows -> ConvNeXt     21.5 Hz
             -> latents                                                       21.5 Hz
    latents  -> ConvNeXt                                                      21.5 Hz
             -> four frames unstacked -> ConvNeXt -> levels and frequencies   86 Hz

The decoder predicts no phases, which follow from the frequencies: samuel_runtime/codec/ makes the waveform.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from samuel_runtime.bundle.manifest import DecoderKind
from samuel_runtime.codec.spectrum import ENVELOPE_STEPS, LEVELLED_BINS, MOST_DEVIATION, PARTIALS, TUNED_BINS, Spectrum
from samuel_runtime.codec.synthesis import SpectralSynthesis
from samuel_train.codec.model.base import Codec, SignalFacts
from samuel_train.codec.model.convnext import ConvNextBlock
from samuel_train.codec.model.long_windows import LONG_BINS, LongWindows
from samuel_train.codec.model.small_config import SmallCodecConfig
from samuel_train.codec.model.stft import BINS, LATTICE_SAMPLES, STEPS, Analysis

_CHANNELS = 2
LEVEL_CENTRE, LEVEL_SPREAD = -7.0, 3.0  # log magnitudes of music, roughly
# Bins are read one by one up to 5.5 kHz, by fours up to 11 kHz and by eights above.
SINGLE_BINS, FOURFOLD_BINS = 256, 512
_GROUPS = SINGLE_BINS + (FOURFOLD_BINS - SINGLE_BINS) // 4 + (BINS - FOURFOLD_BINS) // 8
PHASED_BINS = 128  # below 2.8 kHz the encoder hears the phase of mid as well
PHASE_COMPRESSION = -0.35  # of power, by which magnitudes come out to the power 0.3
SKIP_GROUP = 4
SKIP_FEATURES = STEPS * _CHANNELS * _GROUPS // SKIP_GROUP
"""Inputs of the encoder's linear skip: a coarse log spectrum of the whole latent frame."""

BAND_BINS = 32
LOW_BANDS = TUNED_BINS // BAND_BINS
HIGH_BANDS = LEVELLED_BINS // BAND_BINS - LOW_BANDS
LOW_VALUES, HIGH_VALUES = 5, 3
"""Of a bin: levels of mid and side and their coherence; where bins are tuned, also deviation and spread."""
PARTIAL_VALUES = 3
"""Of a partial: its level, deviation and pan."""
PARTIAL_CENTRE = -6.0
# No partial of a mix is louder than half of full scale. Without this lid the exponential turns small errors of
# generated latents into bursts of ten times full scale; songs that were only encoded and decoded hardly touch it.
LOUDEST_LOG_MAGNITUDE = math.log(0.5)
SPREAD_CENTRE = -1.0
SPREAD_RANGE = (-6.0, 2.0)
ENVELOPE_RANGE = (-3.0, 1.0)
"""Logarithms of the least and the largest gain."""
ENVELOPE_FRAMES = 9
"""Frames, 104 ms, over which an envelope's mean is 0; odd."""


class Features(NamedTuple):
    """What the encoder's learned layers read."""

    levels: Tensor
    """(batch, 4 frames, 2 * groups) log magnitudes of mid and side."""
    phased: Tensor
    """(batch, 4 frames, 2 * phased bins) mid's compressed low spectrum."""
    long: Tensor | None
    """(batch, frames, LONG_BINS) log magnitudes of mid in long windows; None in an encoder without them."""


class SmallEncoder(nn.Module):
    """(batch, 2, frames * 2048) to (batch, latent_channels, frames)."""

    def __init__(self, config: SmallCodecConfig) -> None:
        super().__init__()
        self.power_floor = 10 ** (config.quietest_db / 10)
        self.analysis = Analysis()
        features = _CHANNELS * _GROUPS + 2 * PHASED_BINS
        self.enter = nn.Linear(features, config.encoder_width)
        self.fine = _blocks(config.encoder_blocks, config.encoder_width, config)
        self.stack = nn.Linear(STEPS * config.encoder_width, config.encoder_latent_width)
        self.long = LongHead(config) if config.encoder_long_width else None
        self.coarse = _blocks(config.encoder_latent_blocks, config.encoder_latent_width, config)
        self.leave = nn.Linear(config.encoder_latent_width, config.latent_channels)
        self.skip = nn.Linear(SKIP_FEATURES, config.latent_channels)

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, 2, frames * 2048) to (batch, latent_channels, frames)."""
        features = self.features(audio)
        latents = self.skip(self.skip_features(features.levels)) + self.learned(features)
        return latents.transpose(1, 2)  # (batch, latent_channels, frames)

    def features(self, audio: Tensor) -> Features:
        """Of (batch, 2, frames * 2048)."""
        left, right = audio[:, :1], audio[:, 1:]
        mid_side = torch.cat([left + right, left - right], dim=1) / 2
        real, imaginary = self.analysis(mid_side)  # each (batch, 2, 4 frames, bins)
        # Clamped, because ONNX graph optimisers drop the addition of so small a constant.
        power = (real.square() + imaginary.square()).clamp(min=self.power_floor)
        fourfold = power[..., SINGLE_BINS:FOURFOLD_BINS].unflatten(-1, (-1, 4)).mean(-1)
        eightfold = power[..., FOURFOLD_BINS:].unflatten(-1, (-1, 8)).mean(-1)
        groups = torch.cat([power[..., :SINGLE_BINS], fourfold, eightfold], dim=-1)
        levels = _level(groups).transpose(1, 2).flatten(2)  # (batch, 4 frames, 2 * groups)
        low = slice(0, PHASED_BINS)
        compression = power[:, 0, :, low].pow(PHASE_COMPRESSION)
        phased = torch.cat([real[:, 0, :, low] * compression, imaginary[:, 0, :, low] * compression], dim=-1)
        long = None
        if self.long is not None:
            long = _level(self.long.windows(real[:, 0], imaginary[:, 0]).clamp(min=self.power_floor))
        return Features(levels, phased, long)

    def skip_features(self, levels: Tensor) -> Tensor:
        """(batch, 4 frames, 2 * groups) to (batch, frames, SKIP_FEATURES): means of four neighbouring groups."""
        coarse = levels.unflatten(-1, (-1, SKIP_GROUP)).mean(-1)  # (batch, 4 frames, 2 * groups / 4)
        return coarse.unflatten(1, (-1, STEPS)).flatten(2)

    def learned(self, features: Features) -> Tensor:
        """The latents but for the skip, (batch, frames, latent_channels)."""
        x = self.fine(self.enter(torch.cat([features.levels, features.phased], dim=-1)))
        x = self.stack(x.unflatten(1, (-1, STEPS)).flatten(2))  # four frames side by side in the channels
        if self.long is not None:
            x = x + self.long(features.long)
        return self.leave(self.coarse(x))


class LongHead(nn.Module):
    """What the encoder makes of long windows, (batch, frames, LONG_BINS) to (batch, frames, encoder_latent_width)."""

    def __init__(self, config: SmallCodecConfig) -> None:
        super().__init__()
        self.windows = LongWindows()
        self.enter = nn.Linear(LONG_BINS, config.encoder_long_width)
        self.activation = nn.GELU()
        self.leave = nn.Linear(config.encoder_long_width, config.encoder_latent_width)
        nn.init.zeros_(self.leave.weight)  # so that a codec that gains long windows goes on from where it was
        nn.init.zeros_(self.leave.bias)

    def forward(self, levels: Tensor) -> Tensor:
        """Of log magnitudes."""
        return self.leave(self.activation(self.enter(levels)))


class SmallDecoder(nn.Module):
    """(batch, latent_channels, frames) to the outputs of a spectral decoder by name, (batch, 4 frames, width) each."""

    def __init__(self, config: SmallCodecConfig) -> None:
        super().__init__()
        self.width = config.decoder_width
        self.enter = nn.Linear(config.latent_channels, config.decoder_latent_width)
        self.coarse = _blocks(config.decoder_latent_blocks, config.decoder_latent_width, config)
        self.unstack = nn.Linear(config.decoder_latent_width, STEPS * config.decoder_width)
        self.fine = _blocks(config.decoder_blocks, config.decoder_width, config)
        self.norm = nn.LayerNorm(config.decoder_width)
        self.low = BandHead(config.decoder_width, LOW_BANDS, config.low_band_width, LOW_VALUES)
        self.high = BandHead(config.decoder_width, HIGH_BANDS, config.high_band_width, HIGH_VALUES)
        self.partial_enter = nn.Linear(config.decoder_width, config.partial_width)
        self.activation = nn.GELU()
        self.partial_leave = nn.Linear(config.partial_width, PARTIAL_VALUES * PARTIALS)
        self.envelope = nn.Linear(config.decoder_width, ENVELOPE_STEPS)
        nn.init.zeros_(self.envelope.weight)
        nn.init.zeros_(self.envelope.bias)

    def forward(self, latents: Tensor) -> dict[str, Tensor]:
        """(batch, latent_channels, frames) to what :class:`samuel_runtime.codec.Spectrum` holds, by name."""
        return self.scaled(self.learned(latents))

    def learned(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Values of the low and high bands, of the partials and the envelope, (batch, values, 4 frames, n) each."""
        x = self.coarse(self.enter(latents.transpose(1, 2)))
        x = self.unstack(x).unflatten(2, (STEPS, self.width)).flatten(1, 2)  # (batch, 4 frames, width)
        x = self.norm(self.fine(x))
        partials = self.partial_leave(self.activation(self.partial_enter(x))).unflatten(2, (PARTIAL_VALUES, PARTIALS))
        return self.low(x), self.high(x), partials.transpose(1, 2), self.envelope(x).unsqueeze(1)

    def scaled(self, values: tuple[Tensor, Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        """The values of :meth:`learned` in the units of the spectrum."""
        low, high, partials, envelope = values
        levels = torch.cat([low[:, :2], high[:, :2]], dim=-1) * LEVEL_SPREAD + LEVEL_CENTRE
        levels = levels.clamp(max=LOUDEST_LOG_MAGNITUDE)  # (batch, 2, 4 frames, LEVELLED_BINS)
        return {
            "partial_levels": (partials[:, 0] * LEVEL_SPREAD + PARTIAL_CENTRE).clamp(max=LOUDEST_LOG_MAGNITUDE),
            "partial_deviations": partials[:, 1].clamp(-MOST_DEVIATION, MOST_DEVIATION),
            "partial_pans": partials[:, 2].tanh(),
            "mid_levels": levels[:, 0],
            "side_levels": levels[:, 1],
            "coherences": torch.cat([low[:, 2], high[:, 2]], dim=-1).tanh(),
            "bin_deviations": low[:, 3],
            "bin_spreads": (low[:, 4] + SPREAD_CENTRE).clamp(*SPREAD_RANGE),
            "envelope": (envelope[:, 0] - _around(envelope)).clamp(*ENVELOPE_RANGE),
        }


def _around(envelope: Tensor) -> Tensor:
    """Means of (batch, 1, 4 frames, ENVELOPE_STEPS) over the frames around each, (batch, 4 frames, 1): without them an
    envelope says when something sounds, and how loud it is stays with the levels."""
    means = functional.avg_pool1d(
        envelope.mean(dim=3), ENVELOPE_FRAMES, 1, ENVELOPE_FRAMES // 2, count_include_pad=False
    )
    return means.transpose(1, 2)


class BandHead(nn.Module):
    """Values of neighbouring bands of 32 bins, each band from a few hidden values of its own."""

    def __init__(self, width: int, bands: int, band_width: int, values: int) -> None:
        super().__init__()
        self.bands, self.band_width, self.values = bands, band_width, values
        self.enter = nn.Linear(width, bands * band_width)
        self.activation = nn.GELU()
        outputs = values * BAND_BINS
        bound = (3 / band_width) ** 0.5  # variance 1 / band_width
        # Evenly drawn as in nn.Linear: a normal draw on the meta device takes seconds of imports.
        self.weight = nn.Parameter(torch.empty(bands, band_width, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(bands, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width) to (batch, values, frames, bands * 32)."""
        hidden = self.activation(self.enter(x)).unflatten(2, (self.bands, self.band_width))
        outputs = hidden.transpose(1, 2) @ self.weight + self.bias  # (batch, bands, frames, values * 32)
        by_value = outputs.unflatten(3, (self.values, BAND_BINS))  # (batch, bands, frames, values, 32)
        return by_value.permute(0, 3, 2, 1, 4).flatten(3)  # (batch, values, frames, bands * 32)


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
            decoder=DecoderKind.SPECTRUM,
        )
        super().__init__(facts, provenance, licence)
        self.config = config
        self.encoder = SmallEncoder(config)
        self.decoder = SmallDecoder(config)

    def decode(self, latents: Tensor) -> Tensor:
        """(batch, latent_channels, frames) to (batch, 2, frames * 2048), on the CPU and without gradients."""
        with torch.no_grad():
            outputs = {name: value.cpu().numpy() for name, value in self.decoder(latents).items()}
        songs = (Spectrum(**{name: value[index] for name, value in outputs.items()}) for index in range(len(latents)))
        return torch.from_numpy(np.stack([SpectralSynthesis()(song, last=True).T for song in songs]))

    def decoded_frames(self, outputs: dict[str, Tensor]) -> Tensor:
        """See :class:`Codec`."""
        joined = torch.cat(list(outputs.values()), dim=-1)  # (1, 4 frames, all widths)
        return joined.unflatten(1, (-1, STEPS))[0].flatten(1)


def _level(power: Tensor) -> Tensor:
    """Log magnitudes, about normal in music."""
    return (power.log() / 2 - LEVEL_CENTRE) / LEVEL_SPREAD


def _blocks(count: int, width: int, config: SmallCodecConfig) -> nn.Sequential:
    return nn.Sequential(*(ConvNextBlock(width, config.expansion, config.kernel_frames) for _ in range(count)))
