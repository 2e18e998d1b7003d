"""The estimator's network: dilated convolutions over the whole song, after Oord et al. (2016), but not causal.

It steps through the song at a quarter of the frame rate, 21.5 times a second, and says of each step where in its four
frames a beat is. With the default sizes a step sees 47 s on either side.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from samuel_runtime.leadsheet.estimator import FRAMES_MULTIPLE
from samuel_runtime.melody import MELODY_CHANNELS
from samuel_train.listen.config import EstimatorConfig
from samuel_train.listen.harmony import HarmonyLogits

STEP_FRAMES = FRAMES_MULTIPLE
ENTRY_FRAMES = 3 * STEP_FRAMES
"""Frames that a step sees at first: its own and the step's on either side."""
TONES, ROOTS, KEYS = 12, 12, 24
_DROPOUT = 0.1
_NORM_MOMENTUM = 0.05


@dataclass(frozen=True, eq=False)
class Estimate(HarmonyLogits):
    """Logits."""

    pulses: Tensor
    """(batch, 2, frames) of beats and downbeats."""

    def probabilities(self) -> dict[str, Tensor]:
        """By frame, as leadsheet/activations.py has them: (batch, frames, ...)."""
        beat, downbeat = self.pulses.sigmoid().unbind(dim=1)
        of_steps = super().probabilities()
        chords = {name: value.repeat_interleave(STEP_FRAMES, dim=1) for name, value in of_steps.items()}
        return {"beat": beat, "downbeat": downbeat, **chords}


class DilatedBlock(nn.Module):
    """x + a convolution of three taps ``dilation`` steps apart, and one of a single tap."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        # Not over channels and time: a song's silence would then change what is heard elsewhere in it.
        self.norm = nn.BatchNorm1d(width, momentum=_NORM_MOMENTUM)
        self.spread = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.spread(self.norm(x)))
        return x + self.mix(F.dropout1d(hidden, _DROPOUT, self.training))


class EstimatorNetwork(nn.Module):
    """Melody features (batch, MELODY_CHANNELS, frames), a multiple of ``STEP_FRAMES``, to logits."""

    def __init__(self, config: EstimatorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Conv1d(MELODY_CHANNELS, width, ENTRY_FRAMES, stride=STEP_FRAMES, padding=STEP_FRAMES)
        self.blocks = nn.ModuleList(DilatedBlock(width, dilation) for dilation in config.dilations)
        self.pulses = nn.Conv1d(width, 2 * STEP_FRAMES, 1)
        self.chords = nn.Conv1d(width, TONES + ROOTS + KEYS, 1)

    def forward(self, melody: Tensor) -> Estimate:
        x = self.enter(melody)
        for block in self.blocks:
            x = block(x)
        x = F.gelu(x)
        pulses = self.pulses(x).unflatten(1, (2, STEP_FRAMES))  # (batch, 2, frames of a step, steps)
        tones, root, key = self.chords(x).split((TONES, ROOTS, KEYS), dim=1)
        return Estimate(tones, root, key, pulses.transpose(2, 3).flatten(2))
