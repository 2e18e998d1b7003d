"""The chords' estimator: it hears a melody on its beats, and hears it the same in every key.

All layers share their weights over the twelve pitch classes: what a layer makes of a pitch class depends on the others
by their distance alone (convolution over a cyclic group, Cohen & Welling 2016), so a melody that is rolled by a
semitone has its chords rolled by a semitone. Along the song the convolutions are dilated, as the other estimator's are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samuel_runtime.leadsheet.activations import MOMENT_CHANNELS, PITCH_CHANNELS
from samuel_train.listen.config import ChordConfig
from samuel_train.listen.harmony import HarmonyLogits

PITCHES = 12
_OUTPUTS = 4  # of a pitch class: a tone of the chord, its root, a major key's tonic, a minor key's
_DROPOUT = 0.1
_NORM_MOMENTUM = 0.05
MOMENT_TAPS = 3
"""Slots that a step sees at first."""


class PitchMix(nn.Module):
    """(batch, channels, 12, slots) to as many pitch classes of other channels, each of all twelve by their distance."""

    offsets: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, PITCHES) / (inputs * PITCHES) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        pitches = torch.arange(PITCHES)
        self.register_buffer("offsets", (pitches[:, None] - pitches) % PITCHES, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # As one product of matrices, in which the weights are repeated along the diagonals.
        whole = self.weight[:, :, self.offsets].transpose(1, 2).flatten(2).flatten(0, 1)
        return (whole @ x.flatten(1, 2)).unflatten(1, (-1, PITCHES)) + self.bias[:, None, None]


class ChordBlock(nn.Module):
    """x + a convolution along the song within each pitch class, and a mix of the pitch classes."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, momentum=_NORM_MOMENTUM)
        self.spread = nn.Conv2d(width, width, (1, 3), padding=(0, dilation), dilation=(1, dilation))
        self.mix = PitchMix(width, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.spread(self.norm(x)))
        return x + self.mix(F.dropout2d(hidden, _DROPOUT, self.training))


class ChordNetwork(nn.Module):
    """A melody on its beats (see leadsheet/beat_melody.py) to logits."""

    def __init__(self, config: ChordConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.pitches = PitchMix(PITCH_CHANNELS, width)
        self.moments = nn.Conv1d(MOMENT_CHANNELS, width, MOMENT_TAPS, padding=MOMENT_TAPS // 2)
        self.blocks = nn.ModuleList(ChordBlock(width, dilation) for dilation in config.dilations)
        self.leave = nn.Conv2d(width, _OUTPUTS, 1)

    def forward(self, pitches: Tensor, moments: Tensor) -> HarmonyLogits:
        """Of (batch, PITCH_CHANNELS, 12, slots) and (batch, MOMENT_CHANNELS, slots)."""
        x = self.pitches(pitches) + self.moments(moments)[:, :, None]
        for block in self.blocks:
            x = block(x)
        tones, root, *key = self.leave(F.gelu(x)).unbind(dim=1)
        return HarmonyLogits(tones, root, torch.cat(key, dim=1))
