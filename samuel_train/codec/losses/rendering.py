"""The synthesis of the runtime, with a gradient: what losses on waveforms teach a decoder that predicts spectra.

Phases are the runtime's own, integrated from the predictions of the step; they are taken as given, so the gradient
reaches levels, pans and the envelope. Frequencies learn from their targets alone. The integration is numpy's and runs
on the processor, so steps that render are not recorded as CUDA graphs.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from samuel_runtime.codec import lobes
from samuel_runtime.codec.phases import WIDTH, integrated, links
from samuel_runtime.codec.spectrum import ENVELOPE_STEPS, HOP_SAMPLES, PARTIALS, TUNED_BINS, WINDOW_SAMPLES, Spectrum
from samuel_runtime.codec.synthesis import BEFORE_SAMPLES, CENTRED, NOISE_FRAMES, SYNTHESIS_WINDOW, noise_phasors

Prediction = dict[str, Tensor]
"""Outputs of the decoder by name, (batch, frames, width) each."""


def rendered(prediction: Prediction, rng: np.random.Generator) -> Tensor:
    """Mid and side (batch, 2, samples) of every song, each begun with phases of its own.

    Args:
        prediction: of the decoder.
        rng: of the phases before the first frame, and of the noise.
    """
    plain = {name: value.detach().cpu().numpy() for name, value in prediction.items()}
    device = prediction["envelope"].device
    cycles, tonal = _phases(Spectrum(**plain), rng)
    turning = _directions(cycles).to(device)  # (batch, frames, WIDTH)
    noise = _noise(rng, *cycles.shape[:2]).to(device)  # (batch, frames, LEVELLED_BINS)
    belongs = torch.from_numpy(tonal).to(device)
    tuned = torch.where(belongs, turning[..., PARTIALS:], noise[..., :TUNED_BINS])
    directions = torch.cat([tuned, noise[..., TUNED_BINS:]], dim=-1)

    partials = prediction["partial_levels"].exp() * turning[..., :PARTIALS]
    powers = torch.from_numpy(lobes.powers(plain["partial_deviations"])).to(device)
    coherence = prediction["coherences"].detach()
    leaning = torch.complex(coherence, (1 - coherence.square()).clamp(min=0).sqrt())
    mid = torch.cat([_low_bins(partials, powers), prediction["mid_levels"].exp() * directions], dim=-1)
    side = torch.cat(
        [
            _low_bins(partials * prediction["partial_pans"], powers),
            prediction["side_levels"].exp() * leaning * directions,
        ],
        dim=-1,
    )
    audio = _overlapped(torch.stack([mid, side], dim=1))
    return audio * _gains(prediction["envelope"])[:, None]


def _phases(spectrum: Spectrum, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cycles (batch, frames, WIDTH) and which tuned bins are tonal (batch, frames, TUNED_BINS)."""
    chain = links(spectrum)
    batch, frames, _ = chain.source.shape
    source = chain.source + np.arange(batch)[:, None, None] * WIDTH  # songs side by side
    flat_source, flat_advance = (
        np.ascontiguousarray(each.transpose(1, 0, 2)).reshape(frames, -1) for each in (source, chain.advance)
    )
    start = rng.uniform(size=batch * WIDTH)
    cycles = integrated(flat_source, flat_advance, start).reshape(frames, batch, WIDTH)
    return cycles.transpose(1, 0, 2), chain.tonal


def _directions(cycles: np.ndarray) -> Tensor:
    angle = torch.from_numpy(2 * np.pi * (cycles - np.floor(cycles))).float()
    return torch.polar(torch.ones(()), angle)


def _noise(rng: np.random.Generator, batch: int, frames: int) -> Tensor:
    """Directions of noise, complex (batch, frames, LEVELLED_BINS), from anywhere in the circle."""
    starts = rng.integers(NOISE_FRAMES, size=batch)
    return torch.from_numpy(noise_phasors()[(starts[:, None] + np.arange(frames)) % NOISE_FRAMES])


def _low_bins(amplitudes: Tensor, powers: Tensor) -> Tensor:
    """Complex amplitudes (batch, frames, PARTIALS) to the lowest bins, as :func:`lobes.low_bins`."""
    terms = (amplitudes.unsqueeze(2) * powers).flatten(2)
    direct, mirrored = (torch.from_numpy(each).to(terms.device) for each in (lobes.DIRECT, lobes.MIRRORED))
    return torch.complex(terms.real @ (direct + mirrored), terms.imag @ (direct - mirrored))


def _overlapped(spectra: Tensor) -> Tensor:
    """(batch, 2, frames, BINS) to (batch, 2, frames * HOP_SAMPLES)."""
    centred = spectra * torch.from_numpy(CENTRED).to(spectra.device)
    frames = torch.fft.irfft(centred, n=WINDOW_SAMPLES) * torch.from_numpy(SYNTHESIS_WINDOW).to(spectra.device)
    parts = frames.unflatten(-1, (-1, HOP_SAMPLES)).unbind(dim=3)  # (batch, 2, frames, HOP_SAMPLES) each
    room = (len(parts) - 1) * HOP_SAMPLES
    shifted = [
        functional.pad(part.flatten(2), (index * HOP_SAMPLES, room - index * HOP_SAMPLES))
        for index, part in enumerate(parts)
    ]
    samples = spectra.shape[2] * HOP_SAMPLES
    return torch.stack(shifted).sum(dim=0)[..., BEFORE_SAMPLES : BEFORE_SAMPLES + samples]


def _gains(envelope: Tensor) -> Tensor:
    """Logarithms (batch, frames, ENVELOPE_STEPS) to gains (batch, samples)."""
    steps = envelope.exp().flatten(1).unsqueeze(1)
    return functional.interpolate(steps, scale_factor=HOP_SAMPLES // ENVELOPE_STEPS, mode="linear")[:, 0]
