"""The vocal tract: a chain of moving resonances, applied frame by frame in the frequency domain."""

from __future__ import annotations

import numpy as np

from samuel_train.synth.dsp import SAMPLE_RATE_HZ
from samuel_train.synth.singer import FORMANT_BANDWIDTHS_HZ, Singer

TRACT_HOP_SAMPLES = 512
_WINDOW = 2 * TRACT_HOP_SAMPLES
_TRANSFORM = 2 * _WINDOW  # room for the resonances to ring
_FIRST_UPPER_POLE_HZ = 5000.0
_PRESENCE_HZ = (3600.0, 12_500.0)  # the shelf of a close, bright microphone: +22 dB at the top
_LAST_POLE_HZ = 30_000.0  # poles above hearing lift what lies below them
_UPPER_BANDWIDTH_HZ = 380.0
_UPPER_POLE_SPACING_HZ = 1050.0  # a uniform tube of 17 cm resonates about every kHz


def through_tract(source: np.ndarray, formants_hz: np.ndarray, loudness: np.ndarray, singer: Singer) -> np.ndarray:
    """Shape a glottal source (samples,) by formants (frames, 5), one frame every ``TRACT_HOP_SAMPLES``.

    The chain is Fant's all-pole tract with unit gain at 0 Hz (Klatt 1980, "cascade"): each resonance is
    1 / (1 - (f/F)^2 + j f B / F^2), the five lowest move and the upper ones stand. Quiet frames are duller.
    """
    samples = len(source)
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    padded = np.zeros((len(formants_hz) + 1) * TRACT_HOP_SAMPLES, dtype=np.float32)
    padded[TRACT_HOP_SAMPLES : TRACT_HOP_SAMPLES + samples] = source  # frame i is centred on sample i * hop
    halves = padded.reshape(-1, TRACT_HOP_SAMPLES)  # (frames + 1, hop)
    frames = np.concatenate([halves[:-1], halves[1:]], axis=1)  # (frames, window)
    spectra = np.fft.rfft(frames * window, _TRANSFORM)
    spectra *= _response(formants_hz, loudness, singer)
    shaped = np.fft.irfft(spectra, _TRANSFORM).astype(np.float32)
    hops = _TRANSFORM // TRACT_HOP_SAMPLES
    out = np.zeros((len(shaped) + hops, TRACT_HOP_SAMPLES), dtype=np.float32)
    for hop in range(hops):  # every frame rings on past its window, and the windows add up to one
        out[hop : hop + len(shaped)] += shaped[:, hop * TRACT_HOP_SAMPLES : (hop + 1) * TRACT_HOP_SAMPLES]
    return out.reshape(-1)[TRACT_HOP_SAMPLES : TRACT_HOP_SAMPLES + samples]  # (frames + hops, hop) -> (samples,)


def _response(formants_hz: np.ndarray, loudness: np.ndarray, singer: Singer) -> np.ndarray:
    """(frames, bins) complex64."""
    frequencies = np.fft.rfftfreq(_TRANSFORM, 1 / SAMPLE_RATE_HZ)
    first_hz = _FIRST_UPPER_POLE_HZ * singer.formant_scale
    spacing_hz = _UPPER_POLE_SPACING_HZ * singer.formant_scale
    upper = np.ones(len(frequencies), dtype=np.complex128)
    for pole_hz in np.arange(first_hz, _LAST_POLE_HZ, spacing_hz):
        upper *= _resonance_denominator(frequencies, pole_hz, _UPPER_BANDWIDTH_HZ)
    denominator = np.empty((len(formants_hz), len(frequencies)), dtype=np.complex64)
    denominator[:] = upper
    for index, bandwidth_hz in enumerate(FORMANT_BANDWIDTHS_HZ):
        poles = formants_hz[:, index : index + 1].astype(np.float32)  # (frames, 1)
        denominator *= _resonance_denominator(frequencies.astype(np.float32), poles, bandwidth_hz)
    corner = singer.brightness_hz * (0.35 + 0.65 * loudness[:, None]).astype(np.float32)  # (frames, 1)
    tilt = 1.0 + (frequencies.astype(np.float32) / corner) ** 2
    low_hz, high_hz = _PRESENCE_HZ
    presence = (1.0 + (frequencies / low_hz) ** 2) / (1.0 + (frequencies / high_hz) ** 2)
    return presence.astype(np.float32) / (denominator * np.sqrt(tilt))


def _resonance_denominator(frequencies_hz: np.ndarray, pole_hz: np.ndarray | float, bandwidth_hz: float) -> np.ndarray:
    inverse_square = 1.0 / np.square(pole_hz)
    return 1.0 - np.square(frequencies_hz) * inverse_square + 1j * (frequencies_hz * bandwidth_hz * inverse_square)
