"""The estimator's examples: songs as the tracker hears them, beside what should be said of them frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.melody import MelodyTracks, melody_features
from samuel_runtime.melody.features import CHROMA
from samuel_train.listen.estimator.network import STEP_FRAMES
from samuel_train.listen.harmony import HarmonyBatch
from samuel_train.listen.songs.drawn_songs import FRAMES
from samuel_train.listen.songs.targets import UNKNOWN, Targets, targets_of

CROPS = (1024, 2048, 4096)
"""Frames of the crops of a step: 12, 24 or 48 s."""
_SEMITONES = 12


@dataclass(frozen=True, eq=False)
class Example:
    """A song, ``FRAMES`` long."""

    features: np.ndarray
    """float32 (MELODY_CHANNELS, FRAMES)."""
    targets: Targets


@dataclass(frozen=True, eq=False)
class Batch(HarmonyBatch):
    """Crops of one length."""

    features: Tensor
    """(batch, MELODY_CHANNELS, frames)"""
    pulses: Tensor
    """(batch, 2, frames)"""
    pulses_known: Tensor
    """(batch, 2)"""

    @property
    def inputs(self) -> tuple[Tensor]:
        """The network's."""
        return (self.features,)


def drawn_example(_: np.random.Generator, tracks: MelodyTracks, sheet: LeadSheet) -> Example:
    """A song, in which nothing is left to chance."""
    return example_of(tracks, sheet)


def drawn_batch(kept: Sequence[Example], rng: np.random.Generator, batch_frames: int) -> Batch:
    """Crops of one length in any key, of ``batch_frames`` frames together."""
    frames = int(rng.choice(CROPS))
    crops = []
    for index in rng.choice(len(kept), batch_frames // frames):
        start = STEP_FRAMES * int(rng.integers((FRAMES - frames) // STEP_FRAMES + 1))
        crops.append(cropped(transposed(kept[index], int(rng.integers(_SEMITONES))), start, frames))
    return batch_of(crops)


def example_of(tracks: MelodyTracks, sheet: LeadSheet) -> Example:
    """Features and targets of a song, cut or filled with silence to ``FRAMES``."""
    features = melody_features(tracks)[:, :FRAMES]
    features = np.pad(features, ((0, 0), (0, FRAMES - features.shape[1])))
    return Example(features, targets_of(sheet, FRAMES))


def transposed(example: Example, semitones: int) -> Example:
    """The example in another key: pitch classes roll."""
    features, targets = example.features.copy(), example.targets
    features[CHROMA] = np.roll(features[CHROMA], semitones, axis=0)
    root = np.where(targets.root == UNKNOWN, UNKNOWN, (targets.root + semitones) % 12)
    key = targets.key
    if key != UNKNOWN:
        key = key // 12 * 12 + (key % 12 + semitones) % 12
    return Example(features, replace(targets, tones=np.roll(targets.tones, semitones, axis=0), root=root, key=key))


def cropped(example: Example, start: int, frames: int) -> Example:
    """Some frames of an example."""
    span, targets = slice(start, start + frames), example.targets
    return Example(
        example.features[:, span],
        replace(
            targets,
            pulses=targets.pulses[:, span],
            tones=targets.tones[:, span],
            root=targets.root[span],
            chord_known=targets.chord_known[span],
        ),
    )


def batch_of(crops: Sequence[Example]) -> Batch:
    """Crops of one length as tensors; of chords, the frame in the middle of every step."""
    middle = slice(STEP_FRAMES // 2, None, STEP_FRAMES)
    targets = [crop.targets for crop in crops]
    return Batch(
        torch.from_numpy(np.stack([each.tones[:, middle] for each in targets])),
        torch.from_numpy(np.stack([each.root[middle] for each in targets])),
        torch.from_numpy(np.stack([each.chord_known[middle] for each in targets])),
        torch.tensor([each.key for each in targets]),
        torch.from_numpy(np.stack([crop.features for crop in crops])),
        torch.from_numpy(np.stack([each.pulses for each in targets])),
        torch.from_numpy(np.stack([each.pulses_known for each in targets])),
    )
