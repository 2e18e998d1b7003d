"""Counter-based noise: the same numbers for a frame of a song, whatever the window, backend or thread count.

A draw is keyed by (seed, draw) and addressed by (frame, channel), so a window that begins at frame 700 sees
exactly what a window that begins at 0 saw there: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
"""

from __future__ import annotations

import numpy as np

_WORDS_PER_COUNT = 4  # Philox-4x64 yields four 64-bit words for one value of its counter
_MANTISSA_SHIFT = np.uint64(11)  # keeps the 53 bits that a double holds
_SEED_MASK = (1 << 64) - 1


def noise(seed: int, draw: int, start: int, frames: int, channels: int) -> np.ndarray:
    """Standard normal noise for the frames ``start .. start + frames - 1`` of a song.

    Args:
        seed: any integer; its lowest 64 bits count.
        draw: which draw of the sampler: its timestep, or the schedule's length for the start noise.
        start: position of the first frame in the song.
        frames: number of frames.
        channels: latent channels; a multiple of 4, so that a frame fills whole counter values.

    Returns:
        (channels, frames) float32.

    Raises:
        ValueError: if ``channels`` is not a multiple of 4, or a position is negative.
    """
    if channels % _WORDS_PER_COUNT or min(draw, start, frames) < 0:
        raise ValueError(f"no noise for draw {draw}, frames {start}+{frames}, {channels} channels")
    philox = np.random.Philox(
        key=np.array([seed & _SEED_MASK, draw], dtype=np.uint64),
        counter=start * (channels // _WORDS_PER_COUNT),
    )
    words = philox.random_raw(frames * channels).reshape(frames, channels // 2, 2)  # two words make two normals
    # Box & Muller (1958) rather than the ziggurat: it takes a fixed number of words, so frames stay addressable.
    uniform = ((words >> _MANTISSA_SHIFT) + 0.5) * 2.0**-53
    radius = np.sqrt(-2 * np.log(uniform[..., 0]))
    angle = 2 * np.pi * uniform[..., 1]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return np.ascontiguousarray(pairs.reshape(frames, channels).T, dtype=np.float32)  # (channels, frames)
