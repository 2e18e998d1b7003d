"""Vocal context: features of many seconds of the voice, added to the network's input; the paper has nothing like it.

In the paper's network the voice reaches the signal through attention that knows no positions while the signal is
noisy (local attention has none, global attention has no weight), and through means over all frames. So when rhythm is
decided nothing tells where a beat is; and the convolutions on that way reach about a second of the voice, while a beat
takes several to find. The encoder is the smallest change that mends both: a stack of dilated convolutions whose result
is added to the input, frame by frame. It depends on the voice alone, so it is computed once per song.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from samuel_train.data.annotations import CHANNELS as MUSIC_CHANNELS

DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Of kernels of 3: 255 frames, 11.8 s, to either side."""
_KERNEL = 3


class VocalContextEncoder(nn.Module):
    """x_0 = Conv1(vocals);  x_i = x_(i-1) + Conv3_dilated(GELU(x_(i-1)));  context = Conv1(GELU(x_n)).

    None of the convolutions has a bias, so zero latents, which stand for no voice, give zero.
    """

    dropout = 0.0
    """Dropout probability of the channels behind every GELU, against overfitting."""

    def __init__(self, latent_channels: int, width: int, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(latent_channels, width, 1, bias=False)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, _KERNEL, dilation=dilation, padding=dilation, bias=False) for dilation in DILATIONS
        )
        self.leave = nn.Conv1d(width, channels, 1, bias=False)
        self.auxiliary = nn.Conv1d(width, MUSIC_CHANNELS, 1)

    def forward(self, vocals: Tensor) -> Tensor:
        """Vocals (batch, latent_channels, frames) to what is added to the input, (batch, channels, frames)."""
        return self.leave(self.features(vocals))

    def annotations(self, vocals: Tensor) -> Tensor:
        """Logits of beats, chords and roots as far as the voice tells them (data/annotations.py), (batch, 26, frames).

        For training only: of a band's latents a voice tells a few per cent, so the denoiser's loss is a weak
        teacher of rhythm and harmony, and the annotations of a song a strong one.
        """
        return self.auxiliary(self.features(vocals))

    def features(self, vocals: Tensor) -> Tensor:
        """(batch, latent_channels, frames) to (batch, width, frames)."""
        x = self.enter(vocals)
        for layer in self.layers:
            x = x + layer(self._thinned(F.gelu(x)))
        return self._thinned(F.gelu(x))

    def _thinned(self, x: Tensor) -> Tensor:
        return F.dropout1d(x, self.dropout, self.training)
