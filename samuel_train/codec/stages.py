"""The two stages of the codec's training, each a step and what a resumed run continues from.

The first trains encoder and decoder to rebuild what they hear. Spectral losses are least at blurred spectra where the
latents leave doubt, so the second goes on with the decoder alone, against discriminators that hear the blur. The
encoder stays as it is: latents that were made after the first stage remain good.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from samuel_train.captured import Captured, Measured
from samuel_train.codec.discriminator import Discriminators, Heard, discriminator_loss, generator_losses
from samuel_train.codec.fit_settings import FitSettings
from samuel_train.codec.losses import LatentLoss, SpectralLoss, mid_side
from samuel_train.codec.small import SmallCodec
from samuel_train.steady import make_steady, set_rate, skip_overflow

_NOISE_KEY = 1_000_003
_WEIGHT_DECAY = 0.01


class Reconstruction:
    """Encoder and decoder, towards the recording and towards latents that are easy to model; or the decoder alone."""

    def __init__(self, codec: SmallCodec, settings: FitSettings, device: torch.device, refining: bool = False) -> None:
        """With ``refining`` the encoder stays as it is, and so do the latents of whatever was encoded with it."""
        self.codec, self.settings = codec, settings
        self.learner: nn.Module = codec.decoder if refining else codec
        self.refining = refining
        self.rate = settings.refining_learning_rate if refining else settings.learning_rate
        self.spectral_loss = _spectral_loss(codec, settings).to(device)
        self.latent_loss = LatentLoss(codec.facts.latent_channels).to(device)
        self._descend = Captured(self._descended, device)
        self.optimiser = _adamw(self.learner, self.rate, device, (0.9, 0.98), self._descend.records)

    def step(self, audio: Tensor, number: int, share: float) -> dict[str, Tensor]:
        """One step on crops (batch, 2, samples), ``share`` of the stage being done; returns what to log."""
        settings = self.settings
        set_rate(self.optimiser, self.rate * one_cycle(share, settings.warmup))
        strength = settings.noise * min(1.0, share / settings.noise_ramp)
        return self._descend(number % 2, audio, _noise(self.codec, audio, settings.seed, number, strength))

    def _descended(self, turn: int, audio: Tensor, noise: Tensor) -> Measured:
        settings = self.settings
        with torch.set_grad_enabled(not self.refining):
            latents = _encode(self.codec, audio)
            about_latents = self.latent_loss(latents)
        decoded = _decode(self.codec, latents + noise)
        terms = _distance(self.spectral_loss, decoded, audio, turn)
        loss = (
            _sum(terms.values())
            + settings.centre_weight * about_latents["centre"]
            + settings.covariance_weight * about_latents["covariance"]
        )
        norm = _descend(loss, self.optimiser, self.learner, settings.clip)
        measured = {"loss": loss, **terms, **about_latents, "gradient": norm}
        return {name: value.detach() for name, value in measured.items()}

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` takes, besides the codec's weights."""
        return {"latent_loss": self.latent_loss.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.latent_loss.load_state_dict(state["latent_loss"])
        _load(self.optimiser, state["optimiser"])


class Adversarial:
    """The decoder alone, towards the recording and against discriminators that are trained beside it."""

    def __init__(self, codec: SmallCodec, settings: FitSettings, device: torch.device) -> None:
        self.codec, self.settings = codec, settings
        self.spectral_loss = _spectral_loss(codec, settings).to(device)
        self.discriminators = Discriminators(settings.discriminator_width).to(device)
        rate = settings.adversarial_learning_rate
        self.optimiser = _adamw(codec.decoder, rate, device, (0.8, 0.99))
        self.adversary = _adamw(self.discriminators, rate, device, (0.8, 0.99))

    def step(self, audio: Tensor, number: int, share: float) -> dict[str, Tensor]:
        """One step on crops (batch, 2, samples), ``share`` of the stage being done; returns what to log."""
        settings = self.settings
        for optimiser in (self.optimiser, self.adversary):
            set_rate(optimiser, settings.adversarial_learning_rate * one_cycle(share, settings.warmup))
        with torch.no_grad():
            latents = _encode(self.codec, audio)
        decoded = _decode(self.codec, latents + _noise(self.codec, audio, settings.seed, number, settings.noise))

        recordings, made = (crops[: settings.discriminated_crops] for crops in (audio, decoded))
        told_apart = discriminator_loss(self._heard(recordings), self._heard(made.detach()))
        _descend(told_apart, self.adversary, self.discriminators, settings.clip)

        terms = _distance(self.spectral_loss, decoded, audio, number % 2)
        self.discriminators.requires_grad_(False)
        adversarial, features = generator_losses(self._heard(recordings), self._heard(made))
        loss = _sum(terms.values()) + settings.adversarial_weight * adversarial + settings.feature_weight * features
        norm = _descend(loss, self.optimiser, self.codec.decoder, settings.clip)
        self.discriminators.requires_grad_(True)
        return {"loss": loss, **terms, "told_apart": told_apart, "features": features, "gradient": norm}

    def _heard(self, audio: Tensor) -> list[Heard]:
        with torch.autocast(audio.device.type, torch.bfloat16):
            return self.discriminators(audio)

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` takes, besides the codec's weights."""
        return {
            "discriminators": self.discriminators.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "adversary": self.adversary.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from there."""
        self.discriminators.load_state_dict(state["discriminators"])
        _load(self.optimiser, state["optimiser"])
        _load(self.adversary, state["adversary"])


def one_cycle(share: float, warmup: float) -> float:
    """Linear rise, then half a cosine down to zero."""
    if share < warmup:
        return max(share / warmup, 0.01)
    return (1 + math.cos(math.pi * (share - warmup) / (1 - warmup))) / 2


def _spectral_loss(codec: SmallCodec, settings: FitSettings) -> SpectralLoss:
    return SpectralLoss(codec.config.sample_rate_hz, settings.phase_weight, settings.level_weight)


def _distance(loss: SpectralLoss, decoded: Tensor, audio: Tensor, turn: int) -> dict[str, Tensor]:
    """In turn of left and right, which are heard, and of middle and side, which make the width."""
    return loss(mid_side(decoded), mid_side(audio)) if turn else loss(decoded, audio)


def _encode(codec: SmallCodec, audio: Tensor) -> Tensor:
    """The encoder's way with its learned layers in bfloat16."""
    encoder = codec.encoder
    levels, phased = encoder.features(audio)
    with torch.autocast(audio.device.type, torch.bfloat16):
        learned = encoder.learned(torch.cat([levels, phased], dim=-1))
    return (encoder.skip(encoder.skip_features(levels)) + learned.float()).transpose(1, 2)


def _decode(codec: SmallCodec, latents: Tensor) -> Tensor:
    with torch.autocast(latents.device.type, torch.bfloat16):
        values = codec.decoder.learned(latents)
    return codec.decoder.waveform(values.float())


def _noise(codec: SmallCodec, audio: Tensor, seed: int, number: int, most: float) -> Tensor:
    """Noise for the latents of ``audio``, of random strength a crop; a resumed run finds the same."""
    frames, device = audio.shape[-1] // codec.facts.hop_samples, audio.device
    generator = torch.Generator(device).manual_seed(seed * _NOISE_KEY + number)
    strength = most * torch.rand(len(audio), 1, 1, generator=generator, device=device)
    shape = (len(audio), codec.facts.latent_channels, frames)
    return strength * torch.randn(shape, generator=generator, device=device)


def _adamw(
    module: nn.Module, rate: float, device: torch.device, betas: tuple[float, float], recorded: bool = False
) -> torch.optim.AdamW:
    optimiser = torch.optim.AdamW(module.parameters(), rate, betas, weight_decay=_WEIGHT_DECAY, fused=True)
    make_steady(optimiser, device, recorded)
    return optimiser


def _load(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    group = optimiser.param_groups[0]
    device, recorded = group["params"][0].device, group["capturable"]
    optimiser.load_state_dict(state)
    make_steady(optimiser, device, recorded)


def _descend(loss: Tensor, optimiser: torch.optim.Optimizer, module: nn.Module, clip: float) -> Tensor:
    """One step down the gradient of ``loss``; the norm that the gradient had."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(module.parameters(), clip)
    skip_overflow(optimiser, norm)
    optimiser.step()
    return norm


def _sum(terms: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
