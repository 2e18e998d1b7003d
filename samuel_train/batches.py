"""Training batches as a function of the step alone, so that any run can be continued, split or repeated.

Example number k of a run is the same whatever process draws it: song, crop, timestep, noise and whether its
vocals are dropped come from a counter-based generator keyed by (seed, k).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from samuel_runtime.statistics import Statistics
from samuel_train.data import Latents
from samuel_train.settings import FRAMES_MULTIPLE, FitConfig


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

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


def generator(seed: int, stream: Stream, index: int) -> np.random.Generator:
    """Philox keyed by (seed, index), one counter range per stream."""
    key = np.array([seed, index], np.uint64)
    counter = np.array([0, 0, 0, stream], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class Batches(Dataset[Batch]):
    """Global step -> this process's part of its batch.

    Examples are numbered on through the run: step s has numbers s * batch to (s + 1) * batch - 1, and number k
    is the song at place k mod n of the order shuffled for epoch k // n, n the size of the training split.
    """

    def __init__(
        self,
        latents: Latents,
        entries: np.ndarray,
        statistics: Statistics,
        config: FitConfig,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self._latents = latents
        self._entries = entries
        self._statistics = statistics
        self._config = config
        share = config.batch // processes
        self._share = range(rank * share, (rank + 1) * share)
        self._order, self._order_epoch = entries, -1

    def __getitem__(self, step: int) -> Batch:
        config = self._config
        lengths = np.arange(config.frames_min, config.frames_max + 1, FRAMES_MULTIPLE)
        # Every octave of lengths as often as another: short crops are cheap, and long ones are still learned.
        frames = int(generator(config.seed, Stream.LENGTH, step).choice(lengths, p=(1 / lengths) / (1 / lengths).sum()))
        count, channels = len(self._share), self._latents.vocals.shape[1]
        accompaniment = np.empty((count, channels, frames), np.float32)
        vocals = np.empty_like(accompaniment)
        noise = np.empty_like(accompaniment)
        written = self._latents.music
        music = np.empty((count, 0 if written is None else written.shape[1], frames), np.float32)
        timesteps = np.empty(count, np.int64)
        voice_noise = np.zeros_like(vocals) if config.voice_noise else None
        for i, place in enumerate(self._share):
            number = step * config.batch + place
            draw = generator(config.seed, Stream.EXAMPLE, number)
            entry = self._entry(number)
            crop = slice(start := self._start(draw, entry, frames), start + frames)
            accompaniment[i] = self._latents.accompaniment[entry, :, crop]
            vocals[i] = self._latents.vocals[entry, :, crop]
            if written is not None:
                music[i] = written[entry, :, crop]
            timesteps[i] = draw.integers(config.model.timesteps)
            if draw.random() < config.condition_dropout:
                # The mean of the vocals, which is zero once normalised.
                vocals[i] = self._statistics.vocals_mean[:, None]
            elif voice_noise is not None:
                strength = draw.uniform(0, config.voice_noise)
                voice_noise[i] = strength * draw.standard_normal(noise[i].shape, dtype=np.float32)
            draw.standard_normal(out=noise[i], dtype=np.float32)
        heard = self._statistics.normalise_vocals(vocals)
        return Batch(
            torch.from_numpy(self._statistics.normalise_accompaniment(accompaniment)),
            torch.from_numpy(heard if voice_noise is None else heard + voice_noise),
            torch.from_numpy(timesteps),
            torch.from_numpy(noise),
            torch.from_numpy(music),
        )

    def _entry(self, number: int) -> int:
        epoch, place = divmod(number, len(self._entries))
        if epoch != self._order_epoch:
            self._order = generator(self._config.seed, Stream.ORDER, epoch).permutation(self._entries)
            self._order_epoch = epoch
        return int(self._order[place])

    def _start(self, draw: np.random.Generator, entry: int, frames: int) -> int:
        """Crops stay within the music where it is long enough."""
        return int(draw.integers(max(0, int(self._latents.valid_frames[entry]) - frames) + 1))
