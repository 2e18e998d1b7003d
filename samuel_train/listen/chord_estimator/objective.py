"""What is wrong with an estimate of chords, as losses."""

from __future__ import annotations

from torch import Tensor

from samuel_train.listen.chord_estimator.examples import ChordBatch
from samuel_train.listen.harmony import HarmonyLogits, harmony_losses, weighted


def losses(estimate: HarmonyLogits, batch: ChordBatch) -> dict[str, Tensor]:
    """Mean cross-entropies of each output, over what is known, and their weighted sum ``loss``."""
    return weighted(harmony_losses(estimate, batch), {})
