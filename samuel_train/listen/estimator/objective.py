"""What is wrong with an estimate, as losses."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from samuel_train.listen.estimator.examples import Batch
from samuel_train.listen.estimator.network import Estimate
from samuel_train.listen.harmony import harmony_losses, mean_of_known, weighted

_PULSE_WEIGHT = 3.0
"""Of a pulse against its absence, as there are 14 frames without one for each in a beat."""
_WEIGHTS = {"beat": 1.0, "downbeat": 2.0}


def losses(estimate: Estimate, batch: Batch) -> dict[str, Tensor]:
    """Mean cross-entropies of each output, over what is known, and their weighted sum ``loss``."""
    weight = estimate.pulses.new_tensor(_PULSE_WEIGHT)
    pulses = F.binary_cross_entropy_with_logits(estimate.pulses, batch.pulses, pos_weight=weight, reduction="none")
    beat, downbeat = mean_of_known(pulses.mean(dim=2), batch.pulses_known).unbind()
    return weighted({"beat": beat, "downbeat": downbeat, **harmony_losses(estimate, batch)}, _WEIGHTS)
