"""What recordings have that generated songs lack and that no filter gives: even loudness, and a floor of noise.

Singers are recorded closer, louder and through a compressor, whose quiet frames stand far above those of generated
voices: a codec that had never heard that made real singing 3 dB too quiet and its quiet frames too loud by as much.
"""

from __future__ import annotations

import numpy as np

_BLOCK_S = 0.012
_MOST_COMPRESSION = 0.6
"""Of a level in dB, by which what is quieter than the loudest block is raised."""
_DEEPEST_DB = -50.0
"""Under the loudest block; what is quieter is raised no further."""
_FLOOR_DB = (-85.0, -40.0)
_FLOOR_EXPONENT = (-1.0, 0.0)
"""Of a floor's power by frequency: pink to white."""
_PINK_FROM_HZ = 100.0


def compressed(rng: np.random.Generator, audio: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """A recording (channels, samples) whose quiet parts are raised towards its loud ones, which stay as they are."""
    block = round(_BLOCK_S * sample_rate_hz)
    blocks = max(1, audio.shape[1] // block)
    power = np.square(audio[:, : blocks * block]).mean(axis=0).reshape(blocks, -1).mean(axis=1)
    smooth = np.convolve(np.pad(power, 1, mode="edge"), np.full(3, 1 / 3), mode="valid")
    if not smooth.any():
        return audio
    under_db = np.maximum(10 * np.log10(smooth / smooth.max() + 1e-12), _DEEPEST_DB)  # (blocks,), at most 0
    gain_db = -rng.uniform(0, _MOST_COMPRESSION) * under_db
    centres = (np.arange(blocks) + 0.5) * block
    return audio * (10 ** (np.interp(np.arange(audio.shape[1]), centres, gain_db) / 20)).astype(np.float32)


def with_floor(rng: np.random.Generator, audio: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """A recording (channels, samples) with the steady noise of a room or a preamplifier, the same in all channels."""
    samples = audio.shape[1]
    hz = np.fft.rfftfreq(samples, 1 / sample_rate_hz)
    colour = (np.maximum(hz, _PINK_FROM_HZ) / _PINK_FROM_HZ) ** (rng.uniform(*_FLOOR_EXPONENT) / 2)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * colour, samples)
    rms = 10 ** (rng.uniform(*_FLOOR_DB) / 20)
    return audio + (noise * (rms / np.sqrt(np.square(noise).mean()))).astype(np.float32)
