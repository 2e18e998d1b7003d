"""What a spectral decoder should predict of a recording.

Frequencies are measured where they are known exactly: of the partials below 0.7 kHz by reassignment (Auger & Flandrin,
1995; here from two transforms one sample apart) in windows of 186 and 93 ms, of the bins above by how far their phase
turned from one frame to the next, which is what the synthesis integrates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from samuel_runtime.codec.spectrum import (
    BINS,
    HOP_SAMPLES,
    LOWEST_BIN,
    LOWEST_MIDI,
    MOST_DEVIATION,
    PARTIALS,
    SAMPLE_RATE_HZ,
    TUNED_BINS,
    WINDOW_SAMPLES,
)

DECIMATION = 16
"""By which the sample rate is divided for partials below 0.7 kHz."""
LOW_RATE_HZ = SAMPLE_RATE_HZ / DECIMATION
_LOW_WINDOWS = (512, 256)  # at the low rate: 186 ms part the notes of a bass, 93 ms follow a voice
_LOW_WINDOW_BELOW_MIDI = 52
_HIGHEST_PARTIAL_HZ = 720.0
_OWN_BINS = 1.2  # a peak's frequency lies this near to its bin
_QUIET = 4e-7  # -128 dB, where a log-mel spectrum counts as silent
_LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class Targets:
    """Of crops (batch, 2, samples); every frame is one of the decoder's."""

    partial_amplitudes: Tensor
    """(batch, frames, PARTIALS); 0 where a semitone has no partial."""
    partial_deviations: Tensor
    """(batch, frames, PARTIALS) semitones; 0 where there is no partial."""
    mid_levels: Tensor
    """(batch, frames, LEVELLED_BINS) natural logarithms of amplitudes."""
    side_levels: Tensor
    """The same of side."""
    coherences: Tensor
    """(batch, frames, LEVELLED_BINS) cosine of the angle between side and mid."""
    bin_deviations: Tensor
    """(batch, frames, TUNED_BINS) bins, from -2 to 2, where they wrap round."""
    low_mid: Tensor
    """(batch, samples / DECIMATION) of mid below 1.4 kHz."""


@torch.no_grad()
def targets_of(audio: Tensor) -> Targets:
    """Analyse crops (batch, 2, samples) of a whole number of frames, with silence beyond their ends."""
    frames = audio.shape[-1] // HOP_SAMPLES
    mid, side = (audio[:, 0] + audio[:, 1]) / 2, (audio[:, 0] - audio[:, 1]) / 2
    mid_spectrum, side_spectrum = _spectrum(mid, frames), _spectrum(side, frames)
    amplitudes, deviations = _partials(decimated(mid), frames)
    mid_size, side_size = mid_spectrum.abs(), side_spectrum.abs()
    cosine = (side_spectrum * mid_spectrum.conj()).real / (mid_size * side_size + _LEAST)
    return Targets(
        partial_amplitudes=amplitudes,
        partial_deviations=deviations,
        mid_levels=(mid_size + _QUIET).log(),
        side_levels=(side_size + _QUIET).log(),
        coherences=cosine,
        bin_deviations=_turned(mid_spectrum[..., :TUNED_BINS]),
        low_mid=decimated(mid),
    )


def decimated(audio: Tensor) -> Tensor:
    """(batch, samples) at a sixteenth of its rate, (batch, samples / 16); the crop is taken to repeat."""
    samples = audio.shape[-1] // DECIMATION
    return torch.fft.irfft(torch.fft.rfft(audio)[..., : samples // 2 + 1], n=samples) / DECIMATION


@cache
def hann(samples: int, device: torch.device) -> Tensor:
    """A periodic Hann window."""
    return torch.hann_window(samples, device=device)


def _framed(audio: Tensor, window: int, hop: int, frames: int, late: int = 0) -> Tensor:
    """Windows (batch, frames, window) centred on the middle of each hop, or ``late`` samples after it."""
    before = window // 2 - hop // 2
    padded = functional.pad(audio, (before - late, window + late))
    return padded.unfold(-1, window, hop)[..., :frames, :]


def _transformed(framed: Tensor) -> Tensor:
    """Spectra in which a sine of amplitude 1 has magnitude 1."""
    window = framed.shape[-1]
    return torch.fft.rfft(framed * hann(window, framed.device)) * (4 / window)


def _spectrum(audio: Tensor, frames: int) -> Tensor:
    """The bins that have a level, phases at the windows' centres, (batch, frames, LEVELLED_BINS)."""
    spectrum = _transformed(_framed(audio, WINDOW_SAMPLES, HOP_SAMPLES, frames))[..., LOWEST_BIN:BINS]
    odd = torch.arange(LOWEST_BIN, BINS, device=audio.device) % 2
    return spectrum * (1 - 2 * odd)


def _turned(spectrum: Tensor) -> Tensor:
    """How many bins off its centre each bin turned from the frame before; the first frame's are the second's."""
    cycles = torch.angle(spectrum[:, 1:] * spectrum[:, :-1].conj()) / (2 * math.pi)
    bins = torch.arange(LOWEST_BIN, LOWEST_BIN + spectrum.shape[-1], device=spectrum.device)
    share = HOP_SAMPLES / WINDOW_SAMPLES
    off = cycles - bins * share
    deviations = (off - off.round()) / share
    return torch.cat([deviations[:, :1], deviations], dim=1)


def _partials(low: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Amplitudes and deviations (batch, frames, PARTIALS) of mid at the low rate."""
    split = _LOW_WINDOW_BELOW_MIDI - LOWEST_MIDI
    (low_levels, low_off), (high_levels, high_off) = (_partials_in(low, window, frames) for window in _LOW_WINDOWS)
    return (
        torch.cat([low_levels[..., :split], high_levels[..., split:]], dim=-1),
        torch.cat([low_off[..., :split], high_off[..., split:]], dim=-1),
    )


def _partials_in(low: Tensor, window: int, frames: int) -> tuple[Tensor, Tensor]:
    """The loudest spectral peak of every semitone in windows of one length."""
    hop = HOP_SAMPLES // DECIMATION
    count = int(_HIGHEST_PARTIAL_HZ * window / LOW_RATE_HZ) + 2
    here, after = (_transformed(_framed(low, window, hop, frames, late))[..., :count] for late in (0, 1))
    hz = torch.angle(after * here.conj()) / (2 * math.pi) * LOW_RATE_HZ
    size = here.abs()
    off = hz * window / LOW_RATE_HZ - torch.arange(count, device=low.device)
    midi = 69 + 12 * torch.log2(hz.clamp(min=10.0) / 440)
    semitone = midi.round()
    peak = functional.pad((size[..., 1:-1] > size[..., :-2]) & (size[..., 1:-1] >= size[..., 2:]), (1, 1))
    peak &= (off.abs() < _OWN_BINS) & (semitone >= LOWEST_MIDI) & (semitone < LOWEST_MIDI + PARTIALS)
    # Everything that is no peak goes to one place more, which is dropped.
    place = torch.where(peak, semitone - LOWEST_MIDI, PARTIALS).long()
    measured = torch.where(peak, size / _lobe(off), 0.0)
    empty = measured.new_zeros(*measured.shape[:-1], PARTIALS + 1)
    amplitudes = empty.scatter_reduce(-1, place, measured, "amax")
    loudest = peak & (measured >= amplitudes.gather(-1, place))
    chosen = torch.where(loudest, place, PARTIALS)
    deviations = empty.scatter_reduce(-1, chosen, midi - semitone, "sum")
    return amplitudes[..., :PARTIALS], deviations[..., :PARTIALS].clamp(-MOST_DEVIATION, MOST_DEVIATION)


def _lobe(bins: Tensor) -> Tensor:
    """Hann's transform near its centre, so many bins from it, see samuel_runtime/codec/lobes.py."""
    at_one = (bins.abs() - 1).abs() < 1e-3
    lobe = torch.where(at_one, 0.5, torch.sinc(bins) / torch.where(at_one, 1.0, 1 - bins.square()))
    return lobe.clamp(min=0.3)
