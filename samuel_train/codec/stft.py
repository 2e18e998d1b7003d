"""The short-time Fourier transform and its inverse, by matrix products alone.

Written so that the same modules train, export to ONNX with any number of frames and run at matrix-product
speed: the 2048-point transform is factored 32 x 64 (Cooley & Tukey, 1965), so its tables are a few kilobytes.

Four transforms, 512 samples apart, belong to each latent frame of 2048 samples. Every one is rolled onto the
common lattice of 2048 samples, which takes the phase advance of its bin's centre frequency out of each bin:
a steady partial turns by its distance from the bin's centre only, slowly, and can be followed by a network.
The roll needs no work: samples keep their place modulo 2048, and each of the four windows is split at the
lattice's border into a part on this cell and a part on the next.

Only a graph that is being exported is made of products. In PyTorch the transform is the FFT library's, several
times quicker to run and to differentiate; the two agree to rounding.
"""

from __future__ import annotations

import math

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
_ROWS, _COLUMNS = 32, 64  # sample n = 64 row + column, bin k = k1 + 32 k2
_HALF = BINS // _ROWS  # k2 = 0 .. 31 covers the bins below Nyquist
_PAD_BEFORE = (LATTICE_SAMPLES - _STEP_SAMPLES) // 2  # the four windows lie symmetrically about their cell
_PAD_AFTER = LATTICE_SAMPLES - _PAD_BEFORE
_SINE_GAIN = LATTICE_SAMPLES / 4  # a Hann-windowed sine of amplitude 1 peaks here
_OVERLAP_GAIN = 1.5  # sum of squared Hann windows at 75 % overlap


class Analysis(nn.Module):
    """Waveform to spectrum; a sine of amplitude 1 has magnitude 1. Silence is assumed beyond the ends."""

    windows_here: Tensor
    windows_next: Tensor
    sum_rows: Tensor
    sum_columns: Tensor
    twiddle_cos: Tensor
    twiddle_sin: Tensor

    def __init__(self) -> None:
        super().__init__()
        windows_here, windows_next = _split_windows()
        self.register_buffer("windows_here", windows_here / _SINE_GAIN, persistent=False)
        self.register_buffer("windows_next", windows_next / _SINE_GAIN, persistent=False)
        rows = _phase(torch.arange(_ROWS)[:, None] * torch.arange(_ROWS), _ROWS)
        # (2 * 32, 32): sums over rows; real parts of k1 = 0 .. 31, then imaginary parts.
        self.register_buffer("sum_rows", torch.cat([rows.cos(), -rows.sin()]).float(), persistent=False)
        twiddle = _twiddle()
        self.register_buffer("twiddle_cos", twiddle.cos().float(), persistent=False)
        self.register_buffer("twiddle_sin", twiddle.sin().float(), persistent=False)
        columns = _phase(torch.arange(_COLUMNS)[:, None] * torch.arange(_HALF), _COLUMNS)
        from_real = torch.cat([columns.cos(), -columns.sin()], dim=1)
        from_imaginary = torch.cat([columns.sin(), columns.cos()], dim=1)
        # (2 * 64, 2 * 32): complex sums over columns as one real product.
        self.register_buffer("sum_columns", torch.cat([from_real, from_imaginary]).float(), persistent=False)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channels, frames * 2048) to real and imaginary parts, each (batch, channels, 4 frames, 1024)."""
        cells = functional.pad(audio, (_PAD_BEFORE, _PAD_AFTER)).unflatten(-1, (-1, LATTICE_SAMPLES))
        here, following = cells[:, :, :-1], cells[:, :, 1:]  # (batch, channels, frames, 2048)
        windowed = here.unsqueeze(3) * self.windows_here + following.unsqueeze(3) * self.windows_next
        frames = windowed.flatten(2, 3)  # (batch, channels, 4 frames, 2048)
        if not torch.compiler.is_exporting():
            spectrum = torch.fft.rfft(frames)[..., :BINS]
            return spectrum.real, spectrum.imag
        return self._by_products(frames)

    def _by_products(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        grid = frames.unflatten(-1, (_ROWS, _COLUMNS))  # (batch, channels, 4 frames, 32, 64)
        real, imaginary = (self.sum_rows @ grid).chunk(2, dim=-2)  # (..., k1 32, column 64)
        turned = torch.cat(
            [
                real * self.twiddle_cos + imaginary * self.twiddle_sin,
                imaginary * self.twiddle_cos - real * self.twiddle_sin,
            ],
            dim=-1,
        )
        real, imaginary = (turned @ self.sum_columns).chunk(2, dim=-1)  # (..., k1 32, k2 32)
        # bin k1 + 32 k2: k2 outermost
        return real.transpose(-1, -2).flatten(-2), imaginary.transpose(-1, -2).flatten(-2)


class Synthesis(nn.Module):
    """Spectrum to waveform by windowed overlap-add; inverts :class:`Analysis` away from the signal's two ends."""

    windows_here: Tensor
    windows_next: Tensor
    sum_rows: Tensor
    sum_columns: Tensor
    twiddle_cos: Tensor
    twiddle_sin: Tensor

    def __init__(self) -> None:
        super().__init__()
        windows_here, windows_next = _split_windows()
        gain = 2 * _SINE_GAIN / LATTICE_SAMPLES / _OVERLAP_GAIN  # 2: the bins above Nyquist mirror these
        self.register_buffer("windows_here", windows_here * gain, persistent=False)
        self.register_buffer("windows_next", windows_next * gain, persistent=False)
        columns = _phase(torch.arange(_COLUMNS)[:, None] * torch.arange(_HALF), _COLUMNS)
        to_real = torch.cat([columns.cos(), -columns.sin()], dim=1)
        to_imaginary = torch.cat([columns.sin(), columns.cos()], dim=1)
        # (2 * 64, 2 * 32): complex sums over k2 as one real product.
        self.register_buffer("sum_columns", torch.cat([to_real, to_imaginary]).float(), persistent=False)
        twiddle = _twiddle().T  # (64, 32)
        self.register_buffer("twiddle_cos", twiddle.cos().float().contiguous(), persistent=False)
        self.register_buffer("twiddle_sin", twiddle.sin().float().contiguous(), persistent=False)
        rows = _phase(torch.arange(_ROWS)[:, None] * torch.arange(_ROWS), _ROWS)
        # (2 * 32, 32): the real part of the sums over k1.
        self.register_buffer("sum_rows", torch.cat([rows.cos(), -rows.sin()]).float(), persistent=False)

    def forward(self, real: Tensor, imaginary: Tensor) -> Tensor:
        """Two of (batch, channels, 4 frames, 1024) to (batch, channels, frames * 2048)."""
        if not torch.compiler.is_exporting():
            # irfft ignores DC's imaginary part, pads the Nyquist bin with zero, and mirrors by itself
            frames = torch.fft.irfft(torch.complex(real, imaginary), n=LATTICE_SAMPLES) * (LATTICE_SAMPLES / 2)
        else:
            frames = self._by_products(real, imaginary)
        frames = frames.unflatten(2, (-1, STEPS))  # (batch, channels, frames, 4, 2048)
        here = (frames * self.windows_here).sum(dim=3)  # (batch, channels, frames, 2048)
        following = (frames * self.windows_next).sum(dim=3)
        cells = functional.pad(here, (0, 0, 0, 1)) + functional.pad(following, (0, 0, 1, 0))
        return cells.flatten(2)[..., _PAD_BEFORE:-_PAD_AFTER]

    def _by_products(self, real: Tensor, imaginary: Tensor) -> Tensor:
        direct_current = real[..., :1].unsqueeze(-1)
        spectrum = torch.cat([real, imaginary], dim=-1).unflatten(-1, (2 * _HALF, _ROWS))  # (..., k2 64, k1 32)
        real, imaginary = (self.sum_columns @ spectrum).chunk(2, dim=-2)  # (..., column 64, k1 32)
        turned = torch.cat(
            [
                real * self.twiddle_cos - imaginary * self.twiddle_sin,
                imaginary * self.twiddle_cos + real * self.twiddle_sin,
            ],
            dim=-1,
        )
        # Every bin but DC stands for its mirror image too.
        grid = turned @ self.sum_rows - direct_current / 2  # (..., column 64, row 32)
        return grid.transpose(-1, -2).flatten(-2)  # (batch, channels, 4 frames, 2048)


def _split_windows() -> tuple[Tensor, Tensor]:
    """The four Hann windows of a cell (4, 2048), as their part on the cell and their part on the next."""
    hann = torch.hann_window(LATTICE_SAMPLES, periodic=True, dtype=torch.float64)
    rolled = torch.stack([hann.roll(step * _STEP_SAMPLES) for step in range(STEPS)])
    starts = torch.arange(STEPS)[:, None] * _STEP_SAMPLES
    on_this_cell = torch.arange(LATTICE_SAMPLES) >= starts
    return (rolled * on_this_cell).float(), (rolled * ~on_this_cell).float()


def _twiddle() -> Tensor:
    """Phases (32, 64) between the two sums: 2 pi k1 column / 2048."""
    return _phase(torch.arange(_ROWS)[:, None] * torch.arange(_COLUMNS), LATTICE_SAMPLES)


def _phase(turns: Tensor, period: int) -> Tensor:
    return 2 * math.pi * (turns % period).double() / period
