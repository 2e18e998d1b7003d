"""Runners of a parity check, behind one protocol: a bundle in the runtime, and the model in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from samuel_runtime.bundle.manifest import ModelFacts
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.codec.spectrum import SPECTRUM_WIDTHS
from samuel_runtime.diffusion.noise import noise
from samuel_runtime.diffusion.samplers import sample, timesteps_for
from samuel_runtime.diffusion.schedule import Schedule, x0_denoiser
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_SAMPLER
from samuel_train.codec import Codec
from samuel_train.model.denoiser import Denoiser


class ParityRunner(Protocol):
    """Normalised latents are float32 (batch, channels, frames); waveforms are (samples, channels)."""

    def network(
        self, x: np.ndarray, vocals: np.ndarray, t: list[int], guidance: float, sheet: np.ndarray | None = None
    ) -> np.ndarray:
        """The network's output, guided; ``sheet`` (batch, 34, frames) for models that take a lead sheet."""

    def encode(self, waveform: np.ndarray) -> np.ndarray:
        """Normalised latents (channels, frames) of vocals."""

    def decoder_output(self, latents: np.ndarray) -> np.ndarray:
        """All that the decoder gives for normalised latents (channels, frames) of accompaniment: a waveform, or the
        predictions of a spectral decoder (steps, values)."""

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """The waveform of normalised latents (channels, frames) of accompaniment."""


@dataclass(frozen=True, eq=False)
class RuntimeRunner:
    """A bundle, run as `samuel-run` runs it: in chunks, by the runtime's engines."""

    samuel: Samuel

    def network(
        self, x: np.ndarray, vocals: np.ndarray, t: list[int], guidance: float, sheet: np.ndarray | None = None
    ) -> np.ndarray:
        """See :class:`ParityRunner`."""
        return self.samuel.conditioned(vocals, sheet)(x, t, guidance)

    def encode(self, waveform: np.ndarray) -> np.ndarray:
        """See :class:`ParityRunner`."""
        frames = len(waveform) // self.samuel.manifest.codec.hop_samples
        return self.samuel.codec.encode(iter([waveform]), frames)

    def decoder_output(self, latents: np.ndarray) -> np.ndarray:
        """See :class:`ParityRunner`."""
        chunks = self.samuel.codec.decoder_outputs(latents)
        return np.concatenate([_joined(outputs) for _, outputs in chunks])

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """See :class:`ParityRunner`."""
        return np.concatenate(list(self.samuel.codec.decode(latents)))


@dataclass(frozen=True, eq=False)
class TorchCodecRunner:
    """The trained codec in PyTorch, songs in one piece; without a network."""

    codec: Codec
    statistics: Statistics

    @torch.no_grad()
    def encode(self, waveform: np.ndarray) -> np.ndarray:
        """See :class:`ParityRunner`."""
        latents = self.codec.encoder(torch.from_numpy(waveform.T[None].copy()))[0].numpy()
        return self.statistics.normalise_vocals(latents)

    @torch.no_grad()
    def decoder_output(self, latents: np.ndarray) -> np.ndarray:
        """See :class:`ParityRunner`."""
        outputs = self.codec.decoder(self._raw(latents))
        named = {"waveform": outputs} if isinstance(outputs, torch.Tensor) else outputs
        return _joined({name: value[0].numpy() for name, value in named.items()})

    @torch.no_grad()
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """See :class:`ParityRunner`."""
        return self.codec.decode(self._raw(latents))[0].numpy().T

    def _raw(self, latents: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self.statistics.denormalise_accompaniment(latents).astype(np.float32)[None])


@dataclass(frozen=True, eq=False)
class TorchRunner(TorchCodecRunner):
    """The trained model and codec in PyTorch: unfused, two calls for guidance, songs in one piece."""

    model: Denoiser

    @torch.no_grad()
    def network(
        self, x: np.ndarray, vocals: np.ndarray, t: list[int], guidance: float, sheet: np.ndarray | None = None
    ) -> np.ndarray:
        """See :class:`ParityRunner`."""
        noisy, voice, timesteps = torch.from_numpy(x), torch.from_numpy(vocals), torch.tensor(t)
        conditional = self.model(noisy, voice, timesteps, None if sheet is None else torch.from_numpy(sheet))
        if guidance == 1.0:
            return conditional.numpy()
        null = self.model(noisy, torch.zeros_like(voice), timesteps)
        return (null + guidance * (conditional - null)).numpy()


def _joined(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """A waveform as (samples, channels); predictions side by side, (steps, values)."""
    if "waveform" in outputs:
        return outputs["waveform"].T.copy()
    return np.concatenate([outputs[name] for name in SPECTRUM_WIDTHS], axis=1)


def sample_trajectory(
    runner: ParityRunner,
    facts: ModelFacts,
    statistics: Statistics,
    vocals: np.ndarray,
    steps: int,
    sheet: np.ndarray | None = None,
) -> np.ndarray:
    """Sample with a runner's network; sampler and noise are the runtime's, so that only the network differs.

    Args:
        runner: computes the network.
        facts: manifest entry of the model.
        statistics: their clamp range is used.
        vocals: normalised latents (1, channels, frames).
        steps: of the default sampler.
        sheet: (1, 34, frames), for models that take a lead sheet.

    Returns:
        Normalised latents (channels, frames).
    """
    schedule = Schedule.cosine(facts.timesteps)

    def network(x: np.ndarray, t: int) -> np.ndarray:
        return runner.network(x, vocals, [t], facts.guided().at(t), sheet)

    def draw(t: int) -> np.ndarray:
        return noise(0, t, 0, vocals.shape[2], vocals.shape[1])[None]

    timesteps = timesteps_for(DEFAULT_SAMPLER, schedule, steps)
    clamp = (statistics.clamp_min, statistics.clamp_max)
    denoise = x0_denoiser(network, facts.prediction, schedule, clamp)
    *_, last = sample(DEFAULT_SAMPLER, denoise, draw(schedule.timesteps), schedule, timesteps, draw, clamp)
    return last[0]
