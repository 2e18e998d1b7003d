"""Chords and key of an estimate, what is true of them, and what is wrong: the same for both estimators."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from samuel_train.listen.songs.targets import UNKNOWN

Logits = TypeVar("Logits", bound="HarmonyLogits")
_WEIGHTS = {"tones": 1.0, "root": 0.5, "key": 0.1}


@dataclass(frozen=True, eq=False)
class HarmonyLogits:
    """What an estimate says of chords and key."""

    tones: Tensor
    """(batch, 12, steps)"""
    root: Tensor
    """(batch, 12, steps)"""
    key: Tensor
    """(batch, 24, steps)"""

    def float(self: Logits) -> Logits:
        """In float32, as losses are computed."""
        return type(self)(**{field.name: getattr(self, field.name).float() for field in fields(self)})

    def probabilities(self) -> dict[str, Tensor]:
        """(batch, steps, ...), as leadsheet/activations.py has them by frame."""
        found = {"tones": self.tones.sigmoid(), "root": self.root.softmax(dim=1), "key": self.key.softmax(dim=1)}
        return {name: value.transpose(1, 2) for name, value in found.items()}


@dataclass(frozen=True, eq=False)
class HarmonyBatch:
    """What is true of a batch's chords and keys."""

    tones: Tensor
    """(batch, 12, steps)"""
    root: Tensor
    """(batch, steps), ``UNKNOWN`` or 0 .. 11."""
    chord_known: Tensor
    """(batch, steps)"""
    key: Tensor
    """(batch,), ``UNKNOWN`` or 0 .. 23."""


def harmony_losses(estimate: HarmonyLogits, truth: HarmonyBatch) -> dict[str, Tensor]:
    """Mean cross-entropies of tones, root and key over what is known."""
    tones = F.binary_cross_entropy_with_logits(estimate.tones, truth.tones, reduction="none").mean(dim=1)
    root = F.cross_entropy(estimate.root, truth.root, ignore_index=UNKNOWN, reduction="none")
    of_song = truth.key[:, None].expand(-1, estimate.key.shape[2])  # (batch, steps)
    key = F.cross_entropy(estimate.key, of_song, ignore_index=UNKNOWN, reduction="none")
    return {
        "tones": mean_of_known(tones.flatten(), truth.chord_known.flatten()),
        "root": mean_of_known(root.flatten(), (truth.root != UNKNOWN).float().flatten()),
        "key": mean_of_known(key.flatten(), (of_song != UNKNOWN).float().flatten()),
    }


def weighted(losses: dict[str, Tensor], weights: dict[str, float]) -> dict[str, Tensor]:
    """The losses after their weighted sum ``loss``; chords and key weigh the same in every estimator."""
    weights = weights | _WEIGHTS
    return {"loss": torch.stack([weights[name] * value for name, value in losses.items()]).sum(), **losses}


def root_share(estimate: HarmonyLogits, truth: HarmonyBatch) -> float:
    """Share of the time with a known root in which the likeliest is right."""
    known = truth.root != UNKNOWN
    right = (estimate.root.argmax(dim=1) == truth.root) & known
    return float(right.sum() / known.sum().clamp(min=1))


def mean_of_known(values: Tensor, known: Tensor) -> Tensor:
    """Mean along the first axis of what is known; 0 if nothing is."""
    return (values * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)
