"""Examples to train on: songs as the tracker hears them, beside what should be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.melody import MelodyTracks, melody_features
from samuel_runtime.melody.features import CHROMA
from samuel_train.listen.network import STEP_FRAMES
from samuel_train.listen.songs.simulated_voice import simulated_tracks
from samuel_train.listen.songs.sung_score import sung_score
from samuel_train.listen.songs.sung_sheet import SungSheet, drawn_stretch, drawn_warp, procedural_sheet
from samuel_train.listen.songs.targets import UNKNOWN, Targets, targets_of
from samuel_train.listen.songs.voices import HeardVoice, warped_voice
from samuel_train.synth.scores.musicxml import Score

FRAMES = 4096
"""Of an example, 47.6 s."""
CROPS = (1024, 2048, 4096)
"""Frames of the crops of a step: 12, 24 or 48 s."""
_VOICES, _SCORES = 0.25, 0.4
"""Shares of voices, and of scores among what is not a voice, where there are any."""
_SEMITONES = 12
HELD_OUT_SEED = 1 << 40
"""Added to a seed: songs that no step trains on."""


@dataclass(frozen=True, eq=False)
class Example:
    """A song, ``FRAMES`` long."""

    features: np.ndarray
    """float32 (MELODY_CHANNELS, FRAMES)."""
    targets: Targets


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops of one length, transposed."""

    features: Tensor
    """(batch, MELODY_CHANNELS, frames)"""
    pulses: Tensor
    """(batch, 2, frames)"""
    pulses_known: Tensor
    """(batch, 2)"""
    tones: Tensor
    """(batch, 12, steps)"""
    root: Tensor
    """(batch, steps), ``UNKNOWN`` or 0 .. 11."""
    chord_known: Tensor
    """(batch, steps)"""
    key: Tensor
    """(batch,), ``UNKNOWN`` or 0 .. 23."""


class Examples:
    """Examples by number: each is a pure function of the seed, the number, and the songs that were given."""

    def __init__(
        self,
        seed: int,
        voices: Sequence[HeardVoice] = (),
        scores: Sequence[Score] = (),
        score_share: float = _SCORES,
    ) -> None:
        self._seed, self._voices, self._scores = seed, voices, scores
        self._score_share = score_share if scores else 0.0

    def __getitem__(self, number: int) -> Example:
        return example_of(*self.song(number))

    def song(self, number: int) -> tuple[MelodyTracks, LeadSheet]:
        """What an example is made of."""
        rng = np.random.default_rng([self._seed, number])
        if self._voices and rng.random() < _VOICES:
            voice = self._voices[int(rng.integers(len(self._voices)))]
            return warped_voice(voice, drawn_warp(rng, drawn_stretch(rng)))
        return self._simulated(rng)

    def _simulated(self, rng: np.random.Generator) -> tuple[MelodyTracks, LeadSheet]:
        song: SungSheet | None = None
        while song is None:
            if rng.random() < self._score_share:
                song = sung_score(rng, self._scores[int(rng.integers(len(self._scores)))], FRAMES * FRAME_S)
            else:
                song = procedural_sheet(rng, FRAMES * FRAME_S)
        return simulated_tracks(rng, song.notes, song.singer, song.sheet.duration_s), song.sheet


class Reservoir:
    """The latest examples, of which every step draws crops in any key; each step renews some."""

    def __init__(self, examples: Examples, seed: int, size: int, renewed: int, batch_frames: int) -> None:
        """Begin empty.

        Args:
            examples: where they come from.
            seed: of crops and keys.
            size: of the reservoir.
            renewed: examples a step.
            batch_frames: frames of all crops of a step together.
        """
        self._examples, self._seed = examples, seed
        self._size, self._renewed, self._batch_frames = size, renewed, batch_frames
        self._kept: dict[int, Example] = {}

    def batch(self, step: int) -> Batch:
        """The crops of a step: a pure function of the settings, the seed and the step."""
        last = (step + 1) * self._renewed + self._renewed * 4  # the first step has a few to choose from
        numbers = range(max(0, last - self._size), last)
        self._kept = {number: self._kept.get(number) or self._examples[number] for number in numbers}
        rng = np.random.default_rng([self._seed, step])
        frames = int(rng.choice(CROPS))
        crops = []
        for number in rng.choice(numbers, self._batch_frames // frames):
            start = STEP_FRAMES * int(rng.integers((FRAMES - frames) // STEP_FRAMES + 1))
            crops.append(cropped(transposed(self._kept[number], int(rng.integers(_SEMITONES))), start, frames))
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
        torch.from_numpy(np.stack([crop.features for crop in crops])),
        torch.from_numpy(np.stack([each.pulses for each in targets])),
        torch.from_numpy(np.stack([each.pulses_known for each in targets])),
        torch.from_numpy(np.stack([each.tones[:, middle] for each in targets])),
        torch.from_numpy(np.stack([each.root[middle] for each in targets])),
        torch.from_numpy(np.stack([each.chord_known[middle] for each in targets])),
        torch.tensor([each.key for each in targets]),
    )
