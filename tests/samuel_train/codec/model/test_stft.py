"""The transform against torch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from samuel_train.codec.model.stft import BINS, LATTICE_SAMPLES, STEPS, Analysis

FRAMES = 6


def relative(value: Tensor, expected: Tensor) -> float:
    return ((value - expected).norm() / expected.norm()).item()


@pytest.fixture
def audio() -> Tensor:
    """Noise and a constant, without the Nyquist bin's share, (2, 2, samples)."""
    spectrum = torch.fft.rfft(torch.randn(2, 2, FRAMES * LATTICE_SAMPLES, generator=torch.Generator().manual_seed(0)))
    spectrum[..., int(0.99 * spectrum.shape[-1]) :] = 0
    return torch.fft.irfft(spectrum) + 0.5


def test_equals_torch_stft_on_the_lattice(audio: Tensor) -> None:
    real, imaginary = Analysis()(audio)
    hop = LATTICE_SAMPLES // STEPS
    padded = torch.nn.functional.pad(audio, (768, 768)).flatten(0, 1)
    window = torch.hann_window(LATTICE_SAMPLES)
    reference = torch.stft(padded, LATTICE_SAMPLES, hop, window=window, center=False, return_complex=True)
    reference = reference[:, :BINS].transpose(1, 2) / 512  # (batch * channels, 4 frames, bins)
    turns = torch.outer(torch.arange(STEPS * FRAMES), torch.arange(BINS)) % STEPS / STEPS
    expected = reference * torch.exp(-2j * math.pi * turns)
    assert relative(torch.complex(real, imaginary).flatten(0, 1), expected) < 1e-6


def test_a_sine_of_amplitude_one_has_magnitude_one_and_stands_still() -> None:
    time = torch.arange(FRAMES * LATTICE_SAMPLES, dtype=torch.float64) / LATTICE_SAMPLES
    audio = torch.sin(2 * math.pi * 100 * time).float().repeat(1, 2, 1)
    real, imaginary = Analysis()(audio)
    inside = slice(STEPS, -STEPS)
    partial = torch.complex(real, imaginary)[0, :, inside, 100]
    assert torch.allclose(partial.abs(), torch.ones_like(partial.abs()), atol=1e-5)
    assert torch.allclose(partial, partial[:, :1].expand_as(partial), atol=1e-5)
