"""What a codec is evaluated on: excerpts of held-out songs, and of any other recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from samuel_runtime.audio.reading import AudioFile, resampled
from samuel_runtime.errors import UserError
from samuel_train.data.stem_reader import StemReader
from samuel_train.evaluate.excerpt import loudest_start

_EXCERPT_FRAMES = 256
_SONGS_MOST = 24
_RECORDING_FRAMES = 512


@dataclass(frozen=True)
class Excerpt:
    """A recording, or the middle of it."""

    kind: str
    """Such as ``voice``, ``band`` or ``mix``: what it is averaged with."""
    audio: Tensor
    """(2, samples) float32, a whole number of latent frames."""


def excerpts_of(songs: Sequence[StemReader], hop_samples: int) -> list[Excerpt]:
    """Voice, band and mix of every song, where the voice is loudest; of at most 24 songs."""
    excerpts = []
    for song in songs[:_SONGS_MOST]:
        samples = min(_EXCERPT_FRAMES, song.samples // hop_samples) * hop_samples
        start = loudest_start(song.read("vocals", 0, song.samples).T, samples)
        voice, band = (song.read(stem, start, samples) for stem in ("vocals", "accompaniment"))
        for kind, audio in (("voice", voice), ("band", band), ("mix", (voice + band) / 2)):
            excerpts.append(Excerpt(kind, torch.from_numpy(audio)))
    return excerpts


def excerpt_of(path: Path, sample_rate_hz: int, hop_samples: int) -> Excerpt:
    """A recording of any rate and channels, at most 24 s from its start, as a kind of its own: the file's name.

    Raises:
        UserError: if it cannot be read, or is shorter than a frame.
    """
    audio = AudioFile.open(path)
    samples = np.concatenate(list(resampled(audio, sample_rate_hz, 2)))[: _RECORDING_FRAMES * hop_samples]
    if len(samples) < hop_samples:
        raise UserError(f"{path}: shorter than {hop_samples} samples; give a longer recording")
    return Excerpt(path.stem, torch.from_numpy(samples[: len(samples) // hop_samples * hop_samples].T.copy()))
