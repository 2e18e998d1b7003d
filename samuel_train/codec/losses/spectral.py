"""What the codec is trained towards: spectra that sound alike, and latents that are easy to model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

MEL_FLOOR = 1e-5
"""Below this a band counts as silent."""
_QUIET = 1e-7


@dataclass(frozen=True)
class Resolution:
    """One look at the spectrum."""

    window_samples: int
    """Length of the Hann window and of the transform."""
    hop_samples: int
    """Distance of the windows."""
    bands: int
    """Mel bands."""


REPORTED = Resolution(2048, 512, 80)
"""Reconstructions are compared at this one in progress lines and reports."""
RESOLUTIONS = (Resolution(512, 192, 40), REPORTED, Resolution(8192, 3072, 320))
"""Short windows resolve onsets, long ones the pitch of a partial."""
_LEVEL_FRAMES = 16  # 186 ms


class MelSpectrum(nn.Module):
    """Magnitudes in mel bands: Slaney's scale and area-normalised triangles, over an unscaled Hann STFT."""

    bank: Tensor
    window: Tensor

    def __init__(self, resolution: Resolution, sample_rate_hz: int, highest_hz: float | None = None) -> None:
        super().__init__()
        self.resolution = resolution
        bank = mel_filters(resolution.window_samples, resolution.bands, sample_rate_hz, highest_hz)
        self.register_buffer("bank", bank.T.contiguous(), persistent=False)
        self.register_buffer("window", torch.hann_window(resolution.window_samples), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """(..., samples) to mel magnitudes (..., frames, bands)."""
        return self.bands(self.spectrum(audio))

    def spectrum(self, audio: Tensor) -> Tensor:
        """(..., samples) to the complex spectrum (..., frames, bins)."""
        frames = audio.unfold(-1, self.resolution.window_samples, self.resolution.hop_samples)
        return _RealFft.apply(frames * self.window)

    def bands(self, spectrum: Tensor) -> Tensor:
        """(..., frames, bins) to mel magnitudes (..., frames, bands)."""
        return (spectrum.real.square() + spectrum.imag.square() + _QUIET**2).sqrt() @ self.bank


class _RealFft(torch.autograd.Function):
    """rfft whose gradient is one irfft; torch's own takes a full complex transform, twice the work."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor) -> Tensor:
        return torch.fft.rfft(frames)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        samples = 2 * (gradient.shape[-1] - 1)
        halved = gradient.clone()
        halved[..., 1:-1] /= 2  # irfft counts these bins twice
        return torch.fft.irfft(halved, n=samples, norm="forward")


def log_mel_distance(bands: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute difference of natural logarithms, floored at MEL_FLOOR."""
    return (bands.clamp(min=MEL_FLOOR).log() - reference.clamp(min=MEL_FLOOR).log()).abs().mean()


class SpectralLoss(nn.Module):
    """Distance of two waveforms whose phases need not agree: log-mel at several resolutions, and level.

    The least absolute error of logarithms lies at the median, which for noise is 1.6 dB below the mean power; and
    overlapping transforms whose phases disagree take more away. So the power of each band, averaged over
    :data:`_LEVEL_FRAMES` frames, is compared as well.
    """

    def __init__(self, sample_rate_hz: int, level_weight: float = 0.0) -> None:
        super().__init__()
        self.mels = nn.ModuleList(MelSpectrum(each, sample_rate_hz) for each in RESOLUTIONS)
        self.level_weight = level_weight

    def forward(self, audio: Tensor, reference: Tensor) -> dict[str, Tensor]:
        """Two of (batch, channels, samples) to named terms; their sum is the loss."""
        log_mel, level = audio.new_zeros(()), audio.new_zeros(())
        for mel in self.mels:
            assert isinstance(mel, MelSpectrum)  # mypy: what a ModuleList holds
            bands = mel(audio)
            with torch.no_grad():
                reference_bands = mel(reference)
            log_mel = log_mel + log_mel_distance(bands, reference_bands)
            if mel.resolution == REPORTED:
                level = log_mel_distance(_mean_level(bands), _mean_level(reference_bands))
        return {"log_mel": log_mel / len(self.mels), "level": self.level_weight * level}


def mid_side(audio: Tensor) -> Tensor:
    """(batch, 2, samples) of left and right to middle and side, whose difference in level makes the width."""
    left, right = audio[:, :1], audio[:, 1:]
    return torch.cat([left + right, left - right], dim=1) / 2


def left_right(mid_side: Tensor) -> Tensor:
    """The inverse of :func:`mid_side`."""
    mid, side = mid_side[:, :1], mid_side[:, 1:]
    return torch.cat([mid + side, mid - side], dim=1)


def _mean_level(bands: Tensor) -> Tensor:
    """Root of the mean power of stretches of frames, (batch, channels, stretches, bands)."""
    stretch = min(_LEVEL_FRAMES, bands.shape[2])
    whole = bands.shape[2] // stretch * stretch
    power = bands[:, :, :whole].square().unflatten(2, (-1, stretch)).mean(dim=3)
    return (power + _QUIET**2).sqrt()


class LatentLoss(nn.Module):
    """Wants every latent channel centred, of unit variance, and unlike the others.

    The last is VICReg's covariance term (Bardes et al., 2022, eq. 4): without it the latents keep unit
    variance while nearly all of it lies in a few directions. A batch holds too few songs to tell, so the
    moments are running means; the gradient is the batch's.
    """

    def __init__(self, latent_channels: int, decay: float = 0.9) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("mean", torch.zeros(latent_channels))
        self.register_buffer("second_moment", torch.eye(latent_channels))

    def forward(self, latents: Tensor) -> dict[str, Tensor]:
        """(batch, channels, frames) to named terms."""
        rows = latents.transpose(1, 2).flatten(0, 1)  # (batch * frames, channels)
        mean = self._followed("mean", rows.mean(dim=0))
        second_moment = self._followed("second_moment", rows.T @ rows / len(rows))
        covariance = second_moment - mean[:, None] * mean
        variance = covariance.diagonal()
        off_diagonal = covariance - torch.diag(variance)
        return {
            "centre": mean.square().mean() + variance.clamp(min=1e-4).log().square().mean(),
            "covariance": off_diagonal.square().sum() / len(mean),
        }

    def _followed(self, name: str, current: Tensor) -> Tensor:
        """The running mean's value with the current batch's gradient."""
        running = getattr(self, name)
        running.lerp_(current.detach(), 1 - self.decay)
        return running.clone() + current - current.detach()


@torch.no_grad()
def effective_rank(latents: Tensor) -> float:
    """exp of the entropy of the covariance's normalised eigenvalues (Roy & Vetterli, 2007); channels standardised.

    Args:
        latents: (batch, channels, frames).
    """
    rows = latents.double().transpose(1, 2).flatten(0, 1)  # (batch * frames, channels)
    values = torch.linalg.eigvalsh(rows.T.corrcoef()).clamp(min=1e-12)
    shares = values / values.sum()
    return math.exp(-(shares * shares.log()).sum().item())


def mel_filters(window_samples: int, bands: int, sample_rate_hz: int, highest_hz: float | None = None) -> Tensor:
    """(bands, window_samples // 2 + 1) triangles of unit area, spaced on Slaney's mel scale from 0 Hz up."""
    highest = _mel(highest_hz or sample_rate_hz / 2)
    edges = _hz(torch.linspace(0, highest, bands + 2, dtype=torch.float64))
    bins = torch.arange(window_samples // 2 + 1, dtype=torch.float64) * sample_rate_hz / window_samples
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).float()


# Slaney's mel scale: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998).
_LINEAR_HZ_PER_MEL = 200 / 3
_KNEE_HZ = 1000.0
_KNEE_MEL = _KNEE_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27


def _mel(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return _KNEE_MEL + math.log(hz / _KNEE_HZ) / _LOG_STEP


def _hz(mel: Tensor) -> Tensor:
    above = _KNEE_HZ * torch.exp(_LOG_STEP * (mel - _KNEE_MEL).clamp(min=0))
    return torch.where(mel < _KNEE_MEL, mel * _LINEAR_HZ_PER_MEL, above)
