"""What the estimators say of every moment of a song, and the sizes of what they take and give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FRAME_S = 512 / 44100
"""Distance of the estimator's frames, a quarter of the denoiser's: 86.1 a second."""

ACTIVATION_SIZES = {"beat": (), "downbeat": (), "tones": (12,), "root": (12,), "key": (24,)}
"""The activations' names, in the order in which an estimator gives them, and their sizes beside the frames."""

HARMONY_SIZES = {name: ACTIVATION_SIZES[name] for name in ("tones", "root", "key")}
"""What the estimator of chords gives, which hears the melody on its beats: names, and sizes beside the slots."""
PITCH_CHANNELS, MOMENT_CHANNELS = 3, 16
"""What it takes of every pitch class and of every slot, see leadsheet/beat_melody.py."""


@dataclass(frozen=True, eq=False)
class Activations:
    """Probabilities by frame, float32; frame i is at (i + 0.5) ``FRAME_S``."""

    beat: np.ndarray
    """(frames,) that a beat is here."""
    downbeat: np.ndarray
    """(frames,) that a bar begins here."""
    tones: np.ndarray
    """(frames, 12) that a pitch class belongs to the chord, C first."""
    root: np.ndarray
    """(frames, 12) that it is the chord's root."""
    key: np.ndarray
    """(frames, 24) of the keys, which sum to 1: major from C up, then minor from C up."""
