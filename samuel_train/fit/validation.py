"""Validation that only the weights can change: the same held-out crops, timesteps and noise every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.diffusion.samplers import sample, trailing_timesteps
from samuel_runtime.diffusion.schedule import Prediction, Schedule, x0_denoiser
from samuel_runtime.settings import Sampler
from samuel_train.data.latents import Latents
from samuel_train.fit.auxiliary_loss import auxiliary_errors
from samuel_train.fit.batches import Stream, generator
from samuel_train.fit.objective import Objective
from samuel_train.fit.settings import FitConfig
from samuel_train.model.denoiser import Denoiser

BUCKETS = 8
"""Ranges of timesteps, each with a mean error of its own."""
CONDITIONS = ("own", "other", "null")
"""Whose vocals the network is given: the song's, another song's, none. With its own its error should be lowest."""

_SAMPLES, _SAMPLING_STEPS = 4, 10


@dataclass(frozen=True)
class _Example:
    vocals: Tensor
    """(conditions, channels, frames), in the order of CONDITIONS."""
    accompaniment: Tensor
    """(channels, frames)."""
    music: Tensor
    """(26, frames), see data/annotations.py; (0, frames) where it is not written."""
    sheets: Tensor
    """(conditions, 34, frames), each with its voice; (conditions, 0, frames) where they are not written."""
    number: int
    """Decides timesteps and noise."""


class Validation:
    """One process's share of the held-out examples, and what is measured on them."""

    def __init__(
        self,
        latents: Latents,
        entries: np.ndarray,
        statistics: Statistics,
        config: FitConfig,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        count = min(len(entries), config.validation_examples)
        chosen = entries[np.linspace(0, len(entries) - 1, count).round().astype(int)]
        self._config = config
        self._examples = [
            _example(latents, chosen, number, statistics, config.frames_max) for number in range(rank, count, processes)
        ]

    @torch.inference_mode()
    def sums(self, model: nn.Module, objective: Objective, device: torch.device) -> Tensor:
        """(conditions * buckets + 2,) sums over this process's examples, to be added up over processes.

        First the unweighted errors by condition and bucket, then the weighted loss with own vocals, then the count.
        """
        total = torch.zeros(len(CONDITIONS) * BUCKETS + 2)
        for example in self._examples:
            t, eps = self._draw(example)
            x0 = example.accompaniment.expand(BUCKETS, -1, -1)  # (buckets, channels, frames)
            errors = []
            for vocals, sheet in zip(example.vocals, example.sheets, strict=True):
                voices = vocals.expand(BUCKETS, -1, -1).to(device)
                given = sheet.expand(BUCKETS, -1, -1).to(device) if len(sheet) else None
                noised = (x0.to(device), voices, t.to(device), eps.to(device))
                errors.append(objective.errors(model, *noised, given).cpu())
            loss = (objective.weight[t.to(device)].cpu() * errors[0]).mean()
            total += torch.cat([torch.cat(errors), loss[None], torch.ones(1)])
        return total.to(device)

    @torch.inference_mode()
    def auxiliary_loss(self, network: Denoiser, device: torch.device) -> Tensor:
        """(2,) sum of the auxiliary errors and their number, to be added up over processes.

        Their mean rises when the encoder overfits.
        """
        total = torch.zeros(2, device=device)
        for example in self._examples:
            errors = auxiliary_errors(network, example.vocals[:1].to(device), example.music[None].to(device))
            total += torch.cat([errors, torch.ones_like(errors)])
        return total

    @torch.inference_mode()
    def sample(self, model: nn.Module, device: torch.device, prediction: Prediction) -> dict[str, list[float]]:
        """Mean and standard deviation of the latents after every step of a short DDIM sampling.

        Of unit-variance latents every step keeps mean 0 and deviation 1; a network that is off drifts away.
        """
        schedule = Schedule.cosine(self._config.model.timesteps)
        examples = self._examples[:_SAMPLES]
        vocals = torch.stack([example.vocals[0] for example in examples]).to(device)
        sheets = torch.stack([example.sheets[0] for example in examples]).to(device)
        noise = np.stack([self._draw(example)[1][0].numpy() for example in examples])

        def network(x: np.ndarray, t: int) -> np.ndarray:
            timesteps = torch.full((len(x),), t, device=device)
            given = sheets if sheets.shape[1] else None
            output: np.ndarray = model(torch.from_numpy(x).to(device), vocals, timesteps, given).float().cpu().numpy()
            return output

        steps = trailing_timesteps(schedule, min(_SAMPLING_STEPS, schedule.timesteps))
        denoise = x0_denoiser(network, prediction, schedule)
        trajectory = list(sample(Sampler.DDIM, denoise, noise, schedule, steps))
        return {
            "mean": [float(x.mean()) for x in trajectory],
            "std": [float(x.std()) for x in trajectory],
        }

    def _draw(self, example: _Example) -> tuple[Tensor, Tensor]:
        """Timesteps (buckets,), one in each, and noise (buckets, channels, frames)."""
        draw = generator(self._config.seed, Stream.VALIDATION, example.number)
        t = ((np.arange(BUCKETS) + draw.random(BUCKETS)) / BUCKETS * self._config.model.timesteps).astype(np.int64)
        eps = draw.standard_normal((BUCKETS, *example.accompaniment.shape), dtype=np.float32)
        return torch.from_numpy(t), torch.from_numpy(eps)


def report(sums: Tensor) -> dict[str, Any]:
    """Means from the added-up :meth:`Validation.sums`: the loss, and per condition the error of every bucket."""
    *errors, loss, count = sums.tolist()
    means = np.array(errors).reshape(len(CONDITIONS), BUCKETS) / count  # (conditions, buckets)
    return {"loss": loss / count, **{name: row.tolist() for name, row in zip(CONDITIONS, means, strict=True)}}


def _example(latents: Latents, chosen: np.ndarray, number: int, statistics: Statistics, frames: int) -> _Example:
    """Held-out example ``number``, cropped in the middle of its music."""
    entry = chosen[number]
    following = np.roll(chosen, -number)
    # The next one of another song; with a single held-out song, its own: other then equals own.
    other = next((e for e in following if latents.songs[e] != latents.songs[entry]), entry)
    vocals = [_middle(latents.vocals, latents, e, frames) for e in (entry, other)]
    normalised = statistics.normalise_vocals(np.stack(vocals))
    accompaniment = statistics.normalise_accompaniment(_middle(latents.accompaniment, latents, entry, frames))
    null = np.zeros_like(normalised[:1])
    music = accompaniment[:0] if latents.music is None else _middle(latents.music, latents, entry, frames)
    voices = torch.from_numpy(np.concatenate([normalised, null]))
    written = (
        [_middle(latents.sheets, latents, e, frames) for e in (entry, other)] if latents.sheets is not None else []
    )
    sheets = np.stack([*written, np.zeros_like(written[0])]) if written else normalised[[0, 1, 1], :0]
    return _Example(voices, _float32(accompaniment), _float32(music), _float32(sheets), number)


def _float32(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))


def _middle(array: np.ndarray, latents: Latents, entry: int, frames: int) -> np.ndarray:
    """(channels, frames)"""
    start = max(0, int(latents.valid_frames[entry]) - frames) // 2
    return np.asarray(array[entry, :, start : start + frames])
