"""The few signal tools that every sound here is made of."""

from __future__ import annotations

import numpy as np

SAMPLE_RATE_HZ = 44_100

_CONVOLUTION_BLOCK = 1 << 17


def midi_to_hz(midi: float | np.ndarray) -> np.ndarray:
    """Equal temperament, A4 (69) at 440 Hz."""
    return 440.0 * 2.0 ** ((np.asarray(midi, dtype=np.float64) - 69.0) / 12.0)


def band_noise(rng: np.random.Generator, samples: int, centre_hz: float, octaves: float) -> np.ndarray:
    """Noise with a bell-shaped band ``octaves`` wide (one standard deviation each side), unit RMS, (samples,)."""
    spectrum = np.fft.rfft(rng.standard_normal(samples, dtype=np.float32))
    frequencies = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    frequencies[0] = frequencies[1] if len(frequencies) > 1 else 1.0
    spectrum *= np.exp(-0.5 * (np.log2(frequencies / centre_hz) / octaves) ** 2)
    noise = np.fft.irfft(spectrum, samples).astype(np.float32)
    return noise / max(rms(noise), 1e-9)


def smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Hann-weighted running mean over ``width`` points along the first axis; ends are held."""
    if width < 3:
        return values
    kernel = np.hanning(width + 2)[1:-1]
    kernel /= kernel.sum()
    before = (width - 1) // 2
    padding = [(before, width - 1 - before)] + [(0, 0)] * (values.ndim - 1)
    padded = np.pad(values, padding, mode="edge")
    if values.ndim == 1:
        return np.convolve(padded, kernel, mode="valid")
    columns = [np.convolve(column, kernel, mode="valid") for column in padded.T]
    return np.stack(columns, axis=1)


def convolve(signal: np.ndarray, response: np.ndarray) -> np.ndarray:
    """``signal`` (samples,) through ``response`` (taps,), cut to the signal's length, float32.

    Overlap-add in blocks, because one transform of a whole song falls out of the cache.
    """
    hop = _CONVOLUTION_BLOCK - len(response) + 1
    blocks = -(-len(signal) // hop)
    padded = np.zeros(blocks * hop, dtype=np.float32)
    padded[: len(signal)] = signal
    out = np.zeros(blocks * hop + _CONVOLUTION_BLOCK, dtype=np.float32)
    transfer = np.fft.rfft(response.astype(np.float32), _CONVOLUTION_BLOCK)
    for start in range(0, blocks * hop, hop):
        spectrum = np.fft.rfft(padded[start : start + hop], _CONVOLUTION_BLOCK)
        out[start : start + _CONVOLUTION_BLOCK] += np.fft.irfft(spectrum * transfer, _CONVOLUTION_BLOCK)
    return out[: len(signal)]


def room_response(rng: np.random.Generator, decay_s: float) -> np.ndarray:
    """A small room: (taps, 2) decaying noise, darker as it fades, unit energy per side.

    ``decay_s`` is the time to fall by 60 dB. The two sides are independent, which makes the room wide.
    """
    taps = int(decay_s * SAMPLE_RATE_HZ)
    time_s = np.arange(taps) / SAMPLE_RATE_HZ
    noise = rng.standard_normal((taps, 2), dtype=np.float32)
    dark = smooth(noise, 7)
    fade = (time_s / decay_s)[:, None]
    tail = (noise * (1 - fade) + dark * 2.0 * fade) * np.exp(-6.9 * fade)
    tail[: int(0.008 * SAMPLE_RATE_HZ)] = 0  # the direct sound arrives before the first reflection
    return (tail / np.sqrt(np.sum(tail**2, axis=0))).astype(np.float32)


def rms(signal: np.ndarray) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64)))) if signal.size else 0.0


def from_db(decibels: float) -> float:
    """Amplitude factor."""
    return float(10.0 ** (decibels / 20.0))
