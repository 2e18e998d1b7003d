"""What is wrong with an estimate, as losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from samuel_train.listen.examples import Batch
from samuel_train.listen.network import Estimate
from samuel_train.listen.songs.targets import UNKNOWN

_PULSE_WEIGHT = 3.0
"""Of a pulse against its absence, as there are 14 frames without one for each in a beat."""
_WEIGHTS = {"beat": 1.0, "downbeat": 2.0, "tones": 1.0, "root": 0.5, "key": 0.1}


def losses(estimate: Estimate, batch: Batch) -> dict[str, Tensor]:
    """Mean cross-entropies of each output, over what is known, and their weighted sum ``loss``."""
    weight = estimate.pulses.new_tensor(_PULSE_WEIGHT)
    pulses = F.binary_cross_entropy_with_logits(estimate.pulses, batch.pulses, pos_weight=weight, reduction="none")
    beat, downbeat = _mean(pulses.mean(dim=2), batch.pulses_known).unbind()
    tones = F.binary_cross_entropy_with_logits(estimate.tones, batch.tones, reduction="none").mean(dim=1)
    root = F.cross_entropy(estimate.root, batch.root, ignore_index=UNKNOWN, reduction="none")
    of_song = batch.key[:, None].expand(-1, estimate.key.shape[2])  # (batch, steps)
    key = F.cross_entropy(estimate.key, of_song, ignore_index=UNKNOWN, reduction="none")
    found = {
        "beat": beat,
        "downbeat": downbeat,
        "tones": _mean(tones.flatten(), batch.chord_known.flatten()),
        "root": _mean(root.flatten(), (batch.root != UNKNOWN).float().flatten()),
        "key": _mean(key.flatten(), (of_song != UNKNOWN).float().flatten()),
    }
    return {"loss": torch.stack([_WEIGHTS[name] * value for name, value in found.items()]).sum(), **found}


def root_share(estimate: Estimate, batch: Batch) -> float:
    """Share of the time with a known root in which the likeliest is right."""
    known = batch.root != UNKNOWN
    right = (estimate.root.argmax(dim=1) == batch.root) & known
    return float(right.sum() / known.sum().clamp(min=1))


def _mean(values: Tensor, known: Tensor) -> Tensor:
    """Mean along the first axis of what is known; 0 if nothing is."""
    return (values * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)
