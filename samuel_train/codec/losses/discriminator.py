"""The discriminator of the codec's second stage: tells spectrograms of recordings from those of the decoder.

A multi-resolution STFT discriminator as in EnCodec (Défossez et al., 2022, section 3.4), small enough for two cores.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from samuel_train.codec.losses.spectral import mid_side

WINDOWS_SAMPLES = (512, 1024, 2048)
_OVERLAP = 4
_CHANNELS = 2
_PARTS = 2  # real and imaginary
_COMPRESSION = 0.3
_QUIET = 1e-7
_SLOPE = 0.2


class FeatureMaps(list[Tensor]):
    """Activations of one discriminator, layer by layer; the last are its scores, high for recordings."""


class SpectrogramDiscriminator(nn.Module):
    """Two-dimensional convolutions over the complex spectrum of mid and side, at one window length."""

    window: Tensor

    def __init__(self, window_samples: int, width: int) -> None:
        super().__init__()
        self.hop_samples = window_samples // _OVERLAP
        self.register_buffer("window", torch.hann_window(window_samples), persistent=False)
        shapes = [
            (_CHANNELS * _PARTS, width, (3, 9), (1, 2)),
            (width, width, (3, 9), (1, 2)),
            (width, 2 * width, (3, 9), (2, 2)),
            (2 * width, 2 * width, (3, 5), (2, 2)),
        ]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(into, out, kernel, stride, (kernel[0] // 2, kernel[1] // 2)))
            for into, out, kernel, stride in shapes
        )
        self.score = weight_norm(nn.Conv2d(2 * width, 1, 3, padding=1))

    def forward(self, audio: Tensor) -> FeatureMaps:
        """Of audio (batch, 2, samples)."""
        x = self._spectrum(audio)
        features = FeatureMaps()
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), _SLOPE)
            features.append(x)
        features.append(self.score(x))
        return features

    def _spectrum(self, audio: Tensor) -> Tensor:
        """(batch, 2, samples) to compressed parts of mid and side, (batch, 4, frames, bins)."""
        frames = mid_side(audio).unfold(-1, len(self.window), self.hop_samples)
        spectrum = torch.fft.rfft(frames * self.window)[..., :-1]  # (batch, 2, frames, bins)
        power = spectrum.real.square() + spectrum.imag.square() + _QUIET
        parts = torch.view_as_real(spectrum * power.pow((_COMPRESSION - 1) / 2))  # (batch, 2, frames, bins, 2)
        return parts.permute(0, 1, 4, 2, 3).flatten(1, 2)


class Discriminators(nn.Module):
    """One at each window length: short ones resolve onsets, long ones partials."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(SpectrogramDiscriminator(window, width) for window in WINDOWS_SAMPLES)

    def forward(self, audio: Tensor) -> list[FeatureMaps]:
        """Feature maps of each member for audio (batch, 2, samples)."""
        return [member(audio) for member in self.members]


def discriminator_loss(real: list[FeatureMaps], made: list[FeatureMaps]) -> Tensor:
    """Hinge loss: recordings shall score above 1, decoded ones below -1."""
    losses = [(1 - r[-1]).relu().mean() + (1 + m[-1]).relu().mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(losses).mean()


def generator_losses(real: list[FeatureMaps], made: list[FeatureMaps]) -> tuple[Tensor, Tensor]:
    """The decoder's adversarial loss and its feature-matching loss.

    The second is the mean absolute difference of every layer, as a share of the recording's mean magnitude there.
    """
    adversarial = torch.stack([-m[-1].mean() for m in made]).mean()
    distances = [
        (of_made - of_real.detach()).abs().mean() / of_real.detach().abs().mean().clamp(min=1e-5)
        for r, m in zip(real, made, strict=True)
        for of_real, of_made in zip(r[:-1], m[:-1], strict=True)
    ]
    return adversarial, torch.stack(distances).mean()
