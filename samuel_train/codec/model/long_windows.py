"""Long windows made of short ones: how loud mid is below 0.65 kHz, at steps of 4.3 Hz.

Windows of 46 ms cannot tell the notes of a bass from each other, nor from the chords above. The spectra of
stft.py keep the phases that they have on the song's own clock, so a weighted sum of sixteen of them is the spectrum of
a window of 232 ms, and between two bins that of the nearest three, each with the factor that comes closest to a turning
phasor under Hann's window.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from samuel_train.codec.model.stft import LATTICE_SAMPLES, STEPS

LONG_STEPS = 16
"""Short spectra a long window."""
SHORT_BINS = 32
"""Bins 0 .. 31 of the short spectra are read."""
_PER_BIN = 5
_LOWEST, _HIGHEST = 6, 150  # fifths of a bin: 25.8 and 646 Hz
LONG_BINS = _HIGHEST - _LOWEST + 1
PAD_STEPS = (LONG_STEPS - STEPS) // 2
"""Short spectra that a long window reads beyond its latent frame, to either side."""


class LongWindows(nn.Module):
    """Short spectra of mid to the power in long windows, one for each latent frame."""

    weight: Tensor
    """(2 parts * LONG_BINS, 2 parts * SHORT_BINS, LONG_STEPS) of a convolution with a stride of one latent frame."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(_weight()), persistent=False)

    def forward(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Two of (batch, 4 frames, bins) to powers (batch, frames, LONG_BINS); a sine of amplitude 1 has 1."""
        short = torch.cat([real[..., :SHORT_BINS], imaginary[..., :SHORT_BINS]], dim=-1).transpose(1, 2)
        long = functional.conv1d(short, self.weight, stride=STEPS, padding=PAD_STEPS)
        return long.unflatten(1, (2, LONG_BINS)).square().sum(dim=1).transpose(1, 2)


@cache
def _weight() -> np.ndarray:
    steps = np.arange(LONG_STEPS)
    taper = np.sin(np.pi * (steps + 0.5) / LONG_STEPS) ** 2
    taper /= taper.sum()
    centres = (steps - (LONG_STEPS - 1) / 2) / STEPS  # lattice cells from the long window's centre
    factors = np.zeros((LONG_BINS, SHORT_BINS, LONG_STEPS), complex)
    for row, fifths in enumerate(range(_LOWEST, _HIGHEST + 1)):
        nearest = round(fifths / _PER_BIN)
        off = fifths / _PER_BIN - nearest
        for bin_, share in zip((nearest - 1, nearest, nearest + 1), _between(off), strict=True):
            # Short spectra turn with the song's clock: bin by bin that is undone about each window's centre.
            turn = bin_ - nearest - off
            factors[row, bin_] = share * taper * np.exp(2j * np.pi * centres * turn)
    real, imaginary = factors.real, factors.imag
    parts = [np.concatenate([real, -imaginary], axis=1), np.concatenate([imaginary, real], axis=1)]
    return np.concatenate(parts).astype(np.float32)


def _between(off: float) -> np.ndarray:
    """What to take of the bins below, at and above, for the spectrum of a Hann window so many bins from the middle."""
    sample = (np.arange(LATTICE_SAMPLES) + 0.5) / LATTICE_SAMPLES - 0.5
    hann = np.cos(np.pi * sample) ** 2
    basis = np.exp(-2j * np.pi * np.outer(sample, (-1, 0, 1))) * hann[:, None]
    wanted = np.exp(-2j * np.pi * sample * off) * hann
    return np.asarray(np.linalg.lstsq(basis, wanted, rcond=None)[0])
