"""The two stages of the codec's training, each a step and what a resumed run continues from.

The first trains encoder and decoder to reconstruct. Spectral losses are least at blurred spectra where the latents are
ambiguous, so the second goes on with the decoder alone, against discriminators that penalise the blur. The
encoder stays as it is: latents that were made after the first stage remain good.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from samuel_train.codec.fit.settings import FitSettings
from samuel_train.codec.losses.discriminator import Discriminators, FeatureMaps, discriminator_loss, generator_losses
from samuel_train.codec.losses.prediction import low_loss, prediction_losses
from samuel_train.codec.losses.rendering import Prediction, rendered
from samuel_train.codec.losses.spectral import LatentLoss, SpectralLoss, left_right, mid_side
from samuel_train.codec.losses.targets import Targets, targets_of
from samuel_train.codec.model.small import SmallCodec
from samuel_train.device.capturable_optimizer import make_capturable, set_rate, skip_overflow
from samuel_train.device.choice import lower_precision
from samuel_train.device.cuda_graph_step import CudaGraphStep, Measured

_NOISE_KEY = 1_000_003
_WEIGHT_DECAY = 0.01


class Reconstruction:
    """Trains encoder and decoder, or the decoder alone, by spectral losses and a loss of the latents' distribution."""

    def __init__(
        self, codec: SmallCodec, settings: FitSettings, device: torch.device, decoder_alone: bool = False
    ) -> None:
        """With ``decoder_alone`` the encoder stays as it is, and so do the latents of whatever was encoded with it."""
        self.codec, self.settings = codec, settings
        self.learner: nn.Module = codec.decoder if decoder_alone else codec
        self.decoder_alone = decoder_alone
        self.spectral_loss = _spectral_loss(codec, settings).to(device)
        self.latent_loss = LatentLoss(codec.facts.latent_channels).to(device)
        self._predict = CudaGraphStep(self._predicted, device)
        self.optimiser = _adamw(self.learner, settings.learning_rate, device, (0.9, 0.98), self._predict.records)

    def step(self, audio: Tensor, number: int, share: float) -> dict[str, Tensor]:
        """One step on crops (batch, 2, samples), ``share`` of the stage being done; returns what to log."""
        settings = self.settings
        set_rate(self.optimiser, settings.learning_rate * one_cycle(share, settings.warmup))
        strength = settings.noise * min(1.0, share / settings.noise_ramp)
        noise = _noise(self.codec, audio, settings.seed, number, strength)
        if share < settings.rendered_from:
            return self._predict("predicted", audio, noise)
        terms, prediction, targets = self._compared(audio, noise)
        made = rendered(prediction, _phase_rng(settings, number))
        terms |= _distance(self.spectral_loss, made, audio, number % 2)
        terms["low"] = low_loss(made[:, 0], targets)
        return self._descended(terms)

    def _predicted(self, kind: Hashable, audio: Tensor, noise: Tensor) -> Measured:
        return self._descended(self._compared(audio, noise)[0])

    def _compared(self, audio: Tensor, noise: Tensor) -> tuple[Measured, Prediction, Targets]:
        """Terms of the loss before anything is synthesised."""
        with torch.set_grad_enabled(not self.decoder_alone):
            latents = _encode(self.codec, audio)
            about_latents = self.latent_loss(latents)
        prediction, targets = _predict(self.codec, latents + noise), targets_of(audio)
        weights = {"centre": self.settings.centre_weight, "covariance": self.settings.covariance_weight}
        weighted = {name: weights[name] * value for name, value in about_latents.items()}
        return prediction_losses(prediction, targets) | weighted, prediction, targets

    def _descended(self, terms: Measured) -> Measured:
        loss = _sum(terms.values())
        norm = _descend(loss, self.optimiser, self.learner, self.settings.clip)
        return {name: value.detach() for name, value in {"loss": loss, **terms, "gradient": norm}.items()}

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
        noisy = latents + _noise(self.codec, audio, settings.seed, number, settings.noise)
        made_mid_side = rendered(_predict(self.codec, noisy), _phase_rng(settings, number))
        decoded = left_right(made_mid_side)

        recordings, made = (crops[: settings.discriminated_crops] for crops in (audio, decoded))
        told_apart = discriminator_loss(self._feature_maps(recordings), self._feature_maps(made.detach()))
        _descend(told_apart, self.adversary, self.discriminators, settings.clip)

        terms = _distance(self.spectral_loss, made_mid_side, audio, number % 2)
        self.discriminators.requires_grad_(False)
        adversarial, features = generator_losses(self._feature_maps(recordings), self._feature_maps(made))
        loss = _sum(terms.values()) + settings.adversarial_weight * adversarial + settings.feature_weight * features
        norm = _descend(loss, self.optimiser, self.codec.decoder, settings.clip)
        self.discriminators.requires_grad_(True)
        return {"loss": loss, **terms, "told_apart": told_apart, "features": features, "gradient": norm}

    def _feature_maps(self, audio: Tensor) -> list[FeatureMaps]:
        with lower_precision(audio.device):
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
    return SpectralLoss(codec.config.sample_rate_hz, settings.level_weight)


def _distance(loss: SpectralLoss, made_mid_side: Tensor, audio: Tensor, turn: int) -> dict[str, Tensor]:
    """The loss of left and right, or in odd turns of middle and side, which make the stereo width."""
    return loss(made_mid_side, mid_side(audio)) if turn else loss(left_right(made_mid_side), audio)


def _encode(codec: SmallCodec, audio: Tensor) -> Tensor:
    """As the encoder, with its learned layers in lower precision."""
    encoder = codec.encoder
    features = encoder.features(audio)
    with lower_precision(audio.device):
        learned = encoder.learned(features)
    return (encoder.skip(encoder.skip_features(features.levels)) + learned.float()).transpose(1, 2)


def _predict(codec: SmallCodec, latents: Tensor) -> Prediction:
    """As the decoder up to its predictions, with its learned layers in lower precision."""
    with lower_precision(latents.device):
        low, high, partials, envelope = codec.decoder.learned(latents)
    return codec.decoder.scaled((low.float(), high.float(), partials.float(), envelope.float()))


def _phase_rng(settings: FitSettings, number: int) -> np.random.Generator:
    """What the phases of a step are drawn from; a resumed run finds the same."""
    return np.random.default_rng([settings.seed, number])


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
    make_capturable(optimiser, device, recorded)
    return optimiser


def _load(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    group = optimiser.param_groups[0]
    device, recorded = group["params"][0].device, group["capturable"]
    optimiser.load_state_dict(state)
    make_capturable(optimiser, device, recorded)


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
