"""The short-time Fourier transform that the small codec hears with.

Four transforms, 512 samples apart, belong to each latent frame of 2048 samples. Every one is rolled onto the
common lattice of 2048 samples, which takes the phase advance of its bin's centre frequency out of each bin:
a steady partial turns by its distance from the bin's centre only, slowly, and can be followed by a network.
The roll needs no work: samples keep their place modulo 2048, and each of the four windows is split at the
lattice's border into a part on this cell and a part on the next.

Here the transform is the FFT library's; ONNX files have it as matrix products (samuel_export/graphs/fourier.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LATTICE_SAMPLES = 2048
"""Length of a transform, and of the lattice's cells."""
STEPS = 4
"""Transforms a lattice cell; 75 % overlap."""
BINS = LATTICE_SAMPLES // 2
"""Bins 0 .. 1023 of 21.5 Hz; the Nyquist bin is left out."""

_STEP_SAMPLES = LATTICE_SAMPLES // STEPS
PAD_BEFORE = (LATTICE_SAMPLES - _STEP_SAMPLES) // 2  # the four windows lie symmetrically about their cell
PAD_AFTER = LATTICE_SAMPLES - PAD_BEFORE
_SINE_GAIN = LATTICE_SAMPLES / 4  # a Hann-windowed sine of amplitude 1 peaks here


class Analysis(nn.Module):
    """Waveform to spectrum; a sine of amplitude 1 has magnitude 1. Silence is assumed beyond the ends."""

    windows_here: Tensor
    windows_next: Tensor

    def __init__(self) -> None:
        super().__init__()
        windows_here, windows_next = _split_windows()
        self.register_buffer("windows_here", windows_here / _SINE_GAIN, persistent=False)
        self.register_buffer("windows_next", windows_next / _SINE_GAIN, persistent=False)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channels, frames * 2048) to real and imaginary parts, each (batch, channels, 4 frames, 1024)."""
        cells = functional.pad(audio, (PAD_BEFORE, PAD_AFTER)).unflatten(-1, (-1, LATTICE_SAMPLES))
        here, following = cells[:, :, :-1], cells[:, :, 1:]  # (batch, channels, frames, 2048)
        windowed = here.unsqueeze(3) * self.windows_here + following.unsqueeze(3) * self.windows_next
        frames = windowed.flatten(2, 3)  # (batch, channels, 4 frames, 2048)
        spectrum = torch.fft.rfft(frames)[..., :BINS]
        return spectrum.real, spectrum.imag


def _split_windows() -> tuple[Tensor, Tensor]:
    """The four Hann windows of a cell (4, 2048), as their part on the cell and their part on the next."""
    # On the processor wherever a codec is built: on the meta device these few operations take seconds of imports.
    hann = torch.hann_window(LATTICE_SAMPLES, periodic=True, dtype=torch.float64, device="cpu")
    rolled = torch.stack([hann.roll(step * _STEP_SAMPLES) for step in range(STEPS)])
    starts = torch.arange(STEPS, device="cpu")[:, None] * _STEP_SAMPLES
    on_this_cell = torch.arange(LATTICE_SAMPLES, device="cpu") >= starts
    return (rolled * on_this_cell).float(), (rolled * ~on_this_cell).float()
