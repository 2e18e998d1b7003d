"""The auxiliary loss: how well the vocal context predicts annotated beats and chords from the voice alone."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from samuel_train.model.denoiser import Denoiser

_RARE = 3.0  # how much more what is there weighs than what is not: beats and roots are rare


def auxiliary_errors(network: Denoiser, vocals: Tensor, music: Tensor) -> Tensor:
    """Weighted cross entropy of each example, (batch,); zero without a voice, annotations or a vocal context encoder.

    Args:
        network: whose vocal context encoder predicts.
        vocals: (batch, channels, frames), normalised.
        music: (batch, 26, frames), see data/annotations.py; (batch, 0, frames) where it is not written.
    """
    if network.vocal_context is None or not music.shape[1]:
        return vocals.new_zeros(len(vocals))
    logits = network.vocal_context.annotations(network.conditioning(vocals)).float()
    weight = logits.new_full((), _RARE)
    errors = binary_cross_entropy_with_logits(logits, music, pos_weight=weight, reduction="none")
    return errors.mean(dim=(1, 2)) * (vocals.abs().amax(dim=(1, 2)) > 0)
