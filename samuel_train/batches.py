"""Training batches as a function of the step alone, so that any run can be continued, split or repeated.

Example number k of a run is the same whatever process draws it: song, crop, timestep, whether its vocals are dropped,
and the seed of its noise come from a counter-based generator keyed by (seed, k). A GPU cuts the crops and draws the
noise itself, so that a step carries nothing to it but these few numbers.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from samuel_runtime.statistics import Statistics
from samuel_train.data import Latents
from samuel_train.settings import FRAMES_MULTIPLE, FitConfig
from samuel_train.shelf import Shelf


class Stream(IntEnum):
    """Independent uses of the run's seed."""

    EXAMPLE = 0
    LENGTH = 1
    ORDER = 2
    VALIDATION = 3


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
    """(batch, 26, frames) float32, see music.py; (batch, 0, frames) where it is not written."""


def generator(seed: int, stream: Stream, index: int) -> np.random.Generator:
    """Philox keyed by (seed, index), one counter range per stream."""
    key = np.array([seed, index], np.uint64)
    counter = np.array([0, 0, 0, stream], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class _Drawn(NamedTuple):
    """What chance decides about an example."""

    entry: int
    start: int
    timestep: int
    heard: bool
    """Whether it keeps its vocals."""
    strength: float
    """Of the noise on them."""
    seed: int
    """Of all its noise."""


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
        self._share = range(rank * share, (rank + 1) * share)
        self._order, self._order_epoch = entries, -1
        self._vocals, self._accompaniment = Shelf(latents.vocals, device), Shelf(latents.accompaniment, device)
        self._music = None if latents.music is None else Shelf(latents.music, device)
        of_vocals = (statistics.vocals_mean, statistics.vocals_std)
        of_accompaniment = (statistics.accompaniment_mean, statistics.accompaniment_std)
        self._of_vocals, self._of_accompaniment = (
            [torch.from_numpy(vector)[:, None].to(device) for vector in pair] for pair in (of_vocals, of_accompaniment)
        )

    def __getitem__(self, step: int) -> Batch:
        config = self._config
        lengths = np.arange(config.frames_min, config.frames_max + 1, FRAMES_MULTIPLE)
        # Every octave of lengths as often as another: short crops are cheap, and long ones are still learned.
        frames = int(generator(config.seed, Stream.LENGTH, step).choice(lengths, p=(1 / lengths) / (1 / lengths).sum()))
        drawn = [self._draw(step * config.batch + place, frames) for place in self._share]
        crops = [(each.entry, slice(each.start, each.start + frames)) for each in drawn]
        mean, std = self._of_accompaniment
        accompaniment = (self._accompaniment.cut(crops) - mean) / std
        mean, std = self._of_vocals
        vocals = (self._vocals.cut(crops) - mean) / std
        noise = torch.empty_like(accompaniment)
        voice_noise = torch.empty_like(vocals) if config.voice_noise else None
        for i, each in enumerate(drawn):
            chance = torch.Generator(self._device).manual_seed(each.seed)
            noise[i].normal_(generator=chance)
            if voice_noise is not None:
                voice_noise[i].normal_(generator=chance)
        if voice_noise is not None:
            vocals += self._sent([each.strength for each in drawn])[:, None, None] * voice_noise
        vocals *= self._sent([each.heard for each in drawn])[:, None, None]  # the mean of the vocals is zero now
        timesteps = self._sent([each.timestep for each in drawn])
        music = noise[:, :0] if self._music is None else self._music.cut(crops)
        return Batch(accompaniment, vocals, timesteps, noise, music)

    def _draw(self, number: int, frames: int) -> _Drawn:
        config, draw = self._config, generator(self._config.seed, Stream.EXAMPLE, number)
        entry = self._entry(number)
        # Crops stay within the music where it is long enough.
        start = int(draw.integers(max(0, int(self._valid_frames[entry]) - frames) + 1))
        timestep = int(draw.integers(config.model.timesteps))
        heard = draw.random() >= config.condition_dropout
        strength = draw.uniform(0, config.voice_noise)
        return _Drawn(entry, start, timestep, heard, strength, int(draw.integers(2**63)))

    def _entry(self, number: int) -> int:
        epoch, place = divmod(number, len(self._entries))
        if epoch != self._order_epoch:
            self._order = generator(self._config.seed, Stream.ORDER, epoch).permutation(self._entries)
            self._order_epoch = epoch
        return int(self._order[place])

    def _sent(self, values: list[Any]) -> Tensor:
        """(batch,) on the device; a GPU is not waited for."""
        return torch.tensor(values, pin_memory=self._device.type == "cuda").to(self._device, non_blocking=True)
