"""Training batches as a function of the step alone, so that any run can be continued, split or repeated.

Step s is the same whatever processes share it: songs, crops, timesteps, whose vocals are dropped, and the seed of all
noise come from a counter-based generator keyed by (seed, s). A GPU cuts the crops and draws the noise itself, so that a
step carries nothing to it but these few numbers.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from samuel_runtime.bundle.statistics import Statistics
from samuel_train.data.latent_crops import LatentCrops, to_device
from samuel_train.data.latents import Latents
from samuel_train.fit.imperfect_sheets import Faults, with_faults
from samuel_train.fit.settings import FRAMES_MULTIPLE, FitConfig

LENGTHS = 8
"""At most so many lengths of crop: a GPU records its work for each."""


class Stream(IntEnum):
    """Independent uses of the run's seed."""

    STEP = 0
    ORDER = 1
    VALIDATION = 2


class Batch(NamedTuple):
    """One process's share of a training step."""

    accompaniment: Tensor
    """(batch, channels, frames) float32, normalised."""
    vocals: Tensor
    """(batch, channels, frames) float32, normalised; zero where the condition is dropped."""
    timesteps: Tensor
    """(batch,) int64."""
    noise: Tensor
    """(batch, channels, frames) float32, standard normal."""
    music: Tensor
    """(batch, 26, frames) float32, see data/annotations.py; (batch, 0, frames) where it is not written."""
    sheet: Tensor
    """(batch, 34, frames) float32 lead sheets with faults, zero where they or the condition are dropped; (batch, 0,
    frames) where they are not written or not wanted."""


def generator(seed: int, stream: Stream, index: int) -> np.random.Generator:
    """Philox keyed by (seed, index), one counter range per stream."""
    key = np.array([seed, index], np.uint64)
    counter = np.array([0, 0, 0, stream], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def crop_lengths(frames_min: int, frames_max: int) -> np.ndarray:
    """(n,) frames, ascending: evenly spaced in their logarithm, because short crops are cheap."""
    spaced = np.geomspace(frames_min, frames_max, LENGTHS) / FRAMES_MULTIPLE
    return np.unique(spaced.round().astype(np.int64)) * FRAMES_MULTIPLE


class Batches:
    """Global step -> this process's part of its batch, on the device that trains.

    Examples are numbered on through the run: step s has numbers s * batch to (s + 1) * batch - 1, and number k
    is the song at place k mod n of the order shuffled for epoch k // n, n the size of the training split. Choices are
    the same everywhere; noise is drawn by the device, so it is the same on every device of a kind.
    """

    def __init__(
        self,
        latents: Latents,
        entries: np.ndarray,
        statistics: Statistics,
        config: FitConfig,
        device: torch.device,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._valid_frames = latents.valid_frames
        self._entries = entries
        self._config = config
        self._device = device
        share = config.batch // processes
        self._share = slice(rank * share, (rank + 1) * share)
        self._lengths = crop_lengths(config.frames_min, config.frames_max)
        self._order, self._order_epoch = entries, -1
        self._vocals, self._accompaniment = (
            LatentCrops(latents.vocals, device),
            LatentCrops(latents.accompaniment, device),
        )
        self._music = None if latents.music is None else LatentCrops(latents.music, device)
        wanted = config.model.sheet_width and latents.sheets is not None
        self._sheets = LatentCrops(cast("np.ndarray", latents.sheets), device) if wanted else None
        of_vocals = (statistics.vocals_mean, statistics.vocals_std)
        of_accompaniment = (statistics.accompaniment_mean, statistics.accompaniment_std)
        self._of_vocals, self._of_accompaniment = (
            [torch.from_numpy(vector)[:, None].to(device) for vector in pair] for pair in (of_vocals, of_accompaniment)
        )

    def __getitem__(self, step: int) -> Batch:
        config, draw, share = self._config, generator(self._config.seed, Stream.STEP, step), self._share
        frames = int(draw.choice(self._lengths))
        numbers = np.arange(step * config.batch, (step + 1) * config.batch)
        entries = self._entries_of(numbers)
        # Crops stay within the music where it is long enough.
        starts = draw.integers(np.maximum(0, self._valid_frames[entries] - frames) + 1)
        timesteps = self._timesteps(draw)
        conditioned = draw.random(config.batch) >= config.condition_dropout
        strengths = draw.uniform(0, config.voice_noise, config.batch)
        chance = torch.Generator(self._device).manual_seed(int(draw.integers(2**63)))

        crops = (entries[share], starts[share], frames)
        mean, std = self._of_accompaniment
        accompaniment = (self._accompaniment.cut(*crops) - mean) / std
        mean, std = self._of_vocals
        vocals = (self._vocals.cut(*crops) - mean) / std
        noise = self._noise(accompaniment, chance)
        if config.voice_noise:
            vocals += self._to_device(strengths.astype(np.float32))[:, None, None] * self._noise(vocals, chance)
        vocals *= self._to_device(conditioned)[:, None, None]  # the mean of the vocals is zero now
        music = noise[:, :0] if self._music is None else self._music.cut(*crops)
        sheet = noise[:, :0]
        if self._sheets is not None:
            # One draw for all, so that the choices of a run without sheets stay what they were.
            faults = Faults.drawn(draw, config.batch, config.sheet_dropout, config.sheet_faults)
            sheet = with_faults(self._sheets.cut(*crops), faults.share(share))
            sheet *= self._to_device(conditioned)[:, None, None]
        return Batch(accompaniment, vocals, self._to_device(timesteps), noise, music, sheet)

    def _entries_of(self, numbers: np.ndarray) -> np.ndarray:
        return np.array([self._entry(int(number)) for number in numbers])

    def _entry(self, number: int) -> int:
        epoch, place = divmod(number, len(self._entries))
        if epoch != self._order_epoch:
            self._order = generator(self._config.seed, Stream.ORDER, epoch).permutation(self._entries)
            self._order_epoch = epoch
        return int(self._order[place])

    def _timesteps(self, draw: np.random.Generator) -> np.ndarray:
        """(batch,) evenly drawn from the schedule, and evenly spread over it within a step.

        One offset for all, as in Kingma et al. (2021), appendix I.1: each is uniform, and their mean loss varies less.
        """
        config = self._config
        shares = (draw.random() + np.arange(config.batch) / config.batch) % 1
        return (shares * config.model.timesteps).astype(np.int64)

    def _noise(self, like: Tensor, chance: torch.Generator) -> Tensor:
        """This process's share of everybody's, (batch, channels, frames)."""
        everybody = (self._config.batch, *like.shape[1:])
        return torch.randn(everybody, generator=chance, device=self._device)[self._share]

    def _to_device(self, values: np.ndarray) -> Tensor:
        """This process's share of (batch,) values, on the device."""
        return to_device(values[self._share], self._device)
