"""The chord estimator's examples: melodies on beats as they are found, beside the chords that are true there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.beat_melody import BeatMelody, beat_melody
from samuel_runtime.melody import MelodyTracks
from samuel_train.listen.chord_estimator.grids import drawn_grid
from samuel_train.listen.harmony import HarmonyBatch
from samuel_train.listen.songs.targets import UNKNOWN, HarmonyTargets, harmony_targets

CROPS = (64, 128, 192)
"""Slots of the crops of a step: eight, 16 or 24 bars of 4/4."""
_FRAMES_A_SLOT = 8  # of a crop's budget; a slot has three times as many, and costs more than its frames do
_BEATS_LEAST = 4  # of a song


@dataclass(frozen=True, eq=False)
class ChordExample(HarmonyTargets):
    """A song by slots."""

    melody: BeatMelody


@dataclass(frozen=True, eq=False)
class ChordBatch(HarmonyBatch):
    """Crops, shorter songs filled with silence of which nothing is known."""

    pitches: Tensor
    """(batch, PITCH_CHANNELS, 12, slots)"""
    moments: Tensor
    """(batch, MOMENT_CHANNELS, slots)"""

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """The network's."""
        return self.pitches, self.moments


def drawn_example(rng: np.random.Generator, tracks: MelodyTracks, sheet: LeadSheet) -> ChordExample | None:
    """A song on beats that err as those that are found do; None if it has too few."""
    if len(sheet.beats_s) < _BEATS_LEAST:
        return None
    melody = beat_melody(tracks, drawn_grid(rng, sheet))
    targets = harmony_targets(sheet, (melody.edges_s[1:] + melody.edges_s[:-1]) / 2)
    return ChordExample(**vars(targets), melody=melody)


def drawn_batch(kept: Sequence[ChordExample], rng: np.random.Generator, batch_frames: int) -> ChordBatch:
    """Crops of songs; no keys are drawn, since the network hears the same in all of them."""
    slots = int(rng.choice(CROPS))
    chosen = [kept[index] for index in rng.choice(len(kept), batch_frames // _FRAMES_A_SLOT // slots)]
    starts = [int(rng.integers(max(len(example.root) - slots, 0) + 1)) for example in chosen]
    return batch_of(chosen, starts, slots)


def whole_batch(examples: Sequence[ChordExample]) -> ChordBatch:
    """Songs as they are."""
    return batch_of(examples, [0] * len(examples), max(len(example.root) for example in examples))


def batch_of(examples: Sequence[ChordExample], starts: Sequence[int], slots: int) -> ChordBatch:
    """``slots`` of every song from its start on."""

    def stacked(arrays: Sequence[np.ndarray], beyond: float = 0) -> Tensor:
        crops = [array[..., start : start + slots] for array, start in zip(arrays, starts, strict=True)]
        return torch.from_numpy(np.stack([_filled(crop, slots, beyond) for crop in crops]))

    return ChordBatch(
        stacked([example.tones for example in examples]),
        stacked([example.root for example in examples], UNKNOWN),
        stacked([example.chord_known for example in examples]),
        torch.tensor([example.key for example in examples]),
        stacked([example.melody.pitches for example in examples]),
        stacked([example.melody.moments for example in examples]),
    )


def _filled(crop: np.ndarray, slots: int, beyond: float) -> np.ndarray:
    missing = [(0, 0)] * (crop.ndim - 1) + [(0, slots - crop.shape[-1])]
    return np.pad(crop, missing, constant_values=beyond)
