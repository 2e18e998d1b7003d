"""From predicted spectra to a waveform: phases, an inverse Fourier transform of each frame, and their overlapping sum.

Pure numpy and deterministic. What a chunk needs of the one before, phases and the tails of its last windows, is kept,
so that a song in chunks comes out as it would in one piece. Where a GPU runs the graphs this still runs on the
processor, a quarter of a second for 47.5 s of sound.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from samuel_runtime.codec.lobes import low_bins, powers
from samuel_runtime.codec.phases import WIDTH, integrated, links
from samuel_runtime.codec.spectrum import (
    BINS,
    ENVELOPE_STEPS,
    HOP_SAMPLES,
    LOWEST_BIN,
    PARTIALS,
    TUNED_BINS,
    WINDOW_SAMPLES,
    Spectrum,
)
from samuel_runtime.diffusion.noise import noise

_OVERLAP = WINDOW_SAMPLES // HOP_SAMPLES
_STEP_SAMPLES = HOP_SAMPLES // ENVELOPE_STEPS
BEFORE_SAMPLES = (WINDOW_SAMPLES - HOP_SAMPLES) // 2
"""By which the first window begins before the first sample."""
NOISE_FRAMES = 512  # 5.9 s, after which the noise's phases begin again; nobody hears that it does
_NOISE_CHANNELS = 64
_GOLDEN = (5**0.5 - 1) / 2  # multiples of it are spread evenly over the circle

HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)
_OVERLAP_GAIN = 1.5  # sum of squared Hann windows at 75 % overlap
SYNTHESIS_WINDOW = (HANN * (WINDOW_SAMPLES / 4) / _OVERLAP_GAIN).astype(np.float32)
"""Takes inverse transforms of spectra in which a sine of amplitude 1 has magnitude 1."""
CENTRED = np.where(np.arange(BINS) % 2, -1, 1).astype(np.float32)
"""Moves the origin of phases from a window's start to its centre."""


def start_cycles() -> np.ndarray:
    """Phases (WIDTH,) before the first frame: as unlike as can be, so that a song does not begin with a click."""
    return np.arange(WIDTH) * _GOLDEN


@cache
def noise_phasors() -> np.ndarray:
    """Directions of white noise in the bins that have a level, complex64 (noise frames, LEVELLED_BINS), in a circle.

    Of a real noise's transform, because drawn one by one neighbouring frames would contradict each other.
    """
    samples = noise(0, 0, 0, NOISE_FRAMES * HOP_SAMPLES // _NOISE_CHANNELS, _NOISE_CHANNELS).T.ravel()
    circle = np.concatenate([samples, samples[:WINDOW_SAMPLES]])
    frames = np.lib.stride_tricks.sliding_window_view(circle, WINDOW_SAMPLES)[::HOP_SAMPLES][:NOISE_FRAMES]
    spectra = (np.fft.rfft(frames * HANN)[:, :BINS] * CENTRED)[:, LOWEST_BIN:]
    return (spectra / np.abs(spectra)).astype(np.complex64)


def spectra(spectrum: Spectrum, cycles: np.ndarray, tonal: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Mid and side with their phases, complex64 (2, frames, BINS).

    Args:
        spectrum: predictions for the frames.
        cycles: (frames, WIDTH) of :func:`integrated`.
        tonal: (frames, TUNED_BINS) of :class:`Links`.
        noisy: (frames, LEVELLED_BINS) directions of what is not tonal, see :func:`noise_phasors`.
    """
    result = np.empty((2, len(cycles), BINS), np.complex64)
    turning = _phasors(cycles)
    partials = np.exp(spectrum.partial_levels) * turning[:, :PARTIALS]
    deviation_powers = powers(spectrum.partial_deviations)
    for low, pan in zip(result[..., :LOWEST_BIN], (1.0, spectrum.partial_pans), strict=True):
        low[...] = low_bins(partials * pan, deviation_powers)
    directions = noisy.copy()
    np.copyto(directions[:, :TUNED_BINS], turning[:, PARTIALS:], where=tonal)
    mid, side = result[..., LOWEST_BIN:]
    np.multiply(np.exp(spectrum.mid_levels), directions, out=mid)
    gain = np.exp(spectrum.side_levels)
    np.multiply(gain, spectrum.coherences, out=side.real)
    np.multiply(gain, np.sqrt(1 - np.square(spectrum.coherences)), out=side.imag)
    side *= directions
    return result


class SpectralSynthesis:
    """Makes the waveform of one song, chunk after chunk."""

    def __init__(self) -> None:
        self._frame = 0
        self._cycles = start_cycles()
        self._last: Spectrum | None = None
        self._gains = np.zeros((0, ENVELOPE_STEPS), np.float32)  # of the last frames, logarithms
        self._tail = np.zeros((2, WINDOW_SAMPLES - HOP_SAMPLES), np.float32)
        self._early = BEFORE_SAMPLES  # samples that lie before the song

    def __call__(self, spectrum: Spectrum, *, last: bool) -> np.ndarray:
        """The waveform as far as it is known, float32 (samples, 2); all that is left if the song ends here.

        Args:
            spectrum: of the frames that follow those of the call before; at least one.
            last: whether the song ends here.
        """
        audio = self._overlapped(self._spectra(spectrum))
        if last:
            audio = np.concatenate([audio, self._tail[:, :BEFORE_SAMPLES]], axis=1)
        audio *= _gains(spectrum.envelope, self._gains, audio.shape[1])
        self._gains = np.concatenate([self._gains, spectrum.envelope])[-_OVERLAP:]
        mid, side = audio[:, self._early :]
        self._early = max(0, self._early - audio.shape[1])
        return np.stack([mid + side, mid - side], axis=1)

    def _spectra(self, spectrum: Spectrum) -> np.ndarray:
        """Mid and side, complex64 (2, frames, BINS)."""
        chain = links(spectrum, self._last)
        cycles = integrated(chain.source, chain.advance, self._cycles)
        places = (self._frame + np.arange(spectrum.frames)) % NOISE_FRAMES
        self._cycles, self._frame = cycles[-1] % 1.0, self._frame + spectrum.frames
        self._last = spectrum[-1:].copy()  # an engine writes its next chunk over this one
        return spectra(spectrum, cycles, chain.tonal, noise_phasors()[places])

    def _overlapped(self, spectra: np.ndarray) -> np.ndarray:
        """The windows' sum as far as no later window reaches it, (2, frames * HOP_SAMPLES); ``spectra`` are used up."""
        spectra *= CENTRED
        frames = np.fft.irfft(spectra, n=WINDOW_SAMPLES).astype(np.float32, copy=False)
        frames *= SYNTHESIS_WINDOW
        samples = frames.shape[1] * HOP_SAMPLES
        audio = np.pad(self._tail, ((0, 0), (0, samples)))
        for part in range(_OVERLAP):
            span = slice(part * HOP_SAMPLES, (part + 1) * HOP_SAMPLES)
            audio[:, span.start : span.start + samples] += frames[..., span].reshape(2, samples)
        self._tail = audio[:, samples:]
        return audio[:, :samples]


def _phasors(cycles: np.ndarray) -> np.ndarray:
    angle = (2 * np.pi * (cycles - np.floor(cycles))).astype(np.float32)
    return np.asarray(np.cos(angle) + 1j * np.sin(angle))


def _gains(envelope: np.ndarray, before: np.ndarray, samples: int) -> np.ndarray:
    """Gains of so many samples, of which the first lies ``BEFORE_SAMPLES`` before the first frame's, (samples,).

    Args:
        envelope: logarithms (frames, ENVELOPE_STEPS).
        before: of the frames before them, as far as there are any.
        samples: how many.
    """
    steps = np.exp(np.concatenate([before, envelope])).ravel()
    centres = (np.arange(len(steps)) - before.size + 0.5) * _STEP_SAMPLES - 0.5
    return np.interp(np.arange(samples) - BEFORE_SAMPLES, centres, steps).astype(np.float32)
