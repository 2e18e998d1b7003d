"""Training crops: voices, bands and mixes, read straight from their place in the file, and scenes of pure tones.

Songs that were generated are in tune throughout, and their basses are hardly ever alone; the scenes are what they lack.
"""

from __future__ import annotations

import math

import numpy as np
import soxr
import torch
from torch.utils.data import Dataset

from samuel_train.codec.fit.loudness import compressed, with_floor
from samuel_train.codec.fit.recorded import recorded
from samuel_train.data.stem_reader import StemReader
from samuel_train.synth.tones import random_scene

_KINDS = ("vocals", "accompaniment", "mix", "scene")
_KIND_SHARES = (0.25, 0.35, 0.1, 0.3)
_GAIN_DB = (-16.0, 8.0)
_VOICE_OVER_BAND_DB = (-6.0, 6.0)
_LOUDEST = 0.99
_MOVED_SHARE = 0.5  # of crops that are played faster or slower, which moves pitch and formants
_MOVED_SEMITONES = 4.0
# Of crops: microphones, rooms, compressors and floors of noise differ more than generated songs do.
_RECORDED_SHARE, _COMPRESSED_SHARE, _FLOOR_SHARE = 0.5, 0.35, 0.35


def held_out(songs: list[StemReader], share: float = 0.05) -> tuple[list[StemReader], list[StemReader]]:
    """Songs to train on, and the last ``share`` of them by name to validate on; a single song serves as both."""
    if len(songs) == 1:
        return songs, songs
    count = max(1, round(share * len(songs)))
    return songs[:-count], songs[-count:]


class Crops(Dataset[torch.Tensor]):
    """Batches of random crops, each a pure function of the seed and the batch's number."""

    def __init__(self, songs: list[StemReader], sample_rate_hz: int, crop_samples: int, batch: int, seed: int) -> None:
        self.songs = songs
        self.sample_rate_hz = sample_rate_hz
        self.crop_samples = crop_samples
        self.batch = batch
        self.seed = seed

    def __getitem__(self, number: int) -> torch.Tensor:
        """(batch, 2, crop_samples) float32, peaks below 1."""
        rng = np.random.default_rng([self.seed, number])
        return torch.from_numpy(np.stack([self._crop(rng) for _ in range(self.batch)]))

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        kind = rng.choice(_KINDS, p=_KIND_SHARES)
        crop = self._scene(rng) if kind == "scene" else self._recording(rng, kind)
        crop = crop * _from_db(rng.uniform(*_GAIN_DB))
        if rng.random() < 0.5:
            crop = crop[::-1]  # left for right
        peak = np.abs(crop).max()
        return (crop * (_LOUDEST / peak) if peak > _LOUDEST else crop).astype(np.float32)

    def _scene(self, rng: np.random.Generator) -> np.ndarray:
        return random_scene(rng, self.crop_samples, self.sample_rate_hz).T

    def _recording(self, rng: np.random.Generator, kind: str) -> np.ndarray:
        song = self.songs[rng.integers(len(self.songs))]
        speed = 2 ** (rng.uniform(-_MOVED_SEMITONES, _MOVED_SEMITONES) / 12) if rng.random() < _MOVED_SHARE else 1.0
        samples = min(math.ceil(speed * self.crop_samples), song.samples)
        start = int(rng.integers(song.samples - samples + 1))
        if kind == "mix":
            vocals, accompaniment = (song.read(stem, start, samples) for stem in _KINDS[:2])
            crop = vocals * _from_db(rng.uniform(*_VOICE_OVER_BAND_DB)) + accompaniment
        else:
            crop = song.read(kind, start, samples)
        crop = _played(crop, speed, self.crop_samples)
        if rng.random() < _RECORDED_SHARE:
            crop = recorded(rng, crop, self.sample_rate_hz)
        if rng.random() < _COMPRESSED_SHARE:
            crop = compressed(rng, crop, self.sample_rate_hz)
        if rng.random() < _FLOOR_SHARE:
            crop = with_floor(rng, crop, self.sample_rate_hz)
        return crop


def _played(crop: np.ndarray, speed: float, samples: int) -> np.ndarray:
    """(2, any) played ``speed`` times as fast, as tape is: (2, samples), with silence for what is missing."""
    if speed != 1.0:
        crop = soxr.resample(np.ascontiguousarray(crop.T), speed, 1.0, quality="MQ").T
    return np.pad(crop[:, :samples], ((0, 0), (0, max(0, samples - crop.shape[1]))))


def _from_db(decibels: float) -> float:
    return 10 ** (decibels / 20)
