"""The key of a piece: Krumhansl's profiles on its mean chroma, and how near a wrong key is to the right one."""

from __future__ import annotations

import mir_eval
import numpy as np

# Krumhansl and Kessler (1982), ratings of the twelve tones after a key was heard; from the tonic upwards.
_PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
NO_KEY = "X"
"""The key of silence; mir_eval's name for it."""


def estimate_key(chroma: np.ndarray) -> str:
    """The key, such as ``Eb minor``, whose profile correlates best with the mean of chroma (12, frames)."""
    mean = _standardised(chroma.mean(axis=1))
    if not mean.any():
        return NO_KEY
    correlations = {
        f"{tonic} {mode}": float(mean @ np.roll(_standardised(np.array(profile)), steps))
        for mode, profile in _PROFILES.items()
        for steps, tonic in enumerate(_TONICS)
    }
    return max(correlations, key=lambda key: correlations[key])


def key_score(reference: str, estimated: str) -> float:
    """1 the same key, 0.5 a fifth above, 0.3 the relative key, 0.2 the parallel one, else 0 (MIREX, by mir_eval)."""
    return float(mir_eval.key.weighted_score(reference, estimated))


def signature_agrees(reference: str, estimated: str) -> bool:
    """Whether both have the same tones: the same key, or the relative one."""
    return key_score(reference, estimated) in (1.0, 0.3)


def _standardised(values: np.ndarray) -> np.ndarray:
    """Zero mean and unit length; zeros stay zeros if there is no difference between them."""
    centred = values - values.mean()
    length = np.linalg.norm(centred)
    return centred / length if length > 1e-9 * max(1.0, np.abs(values).max()) else np.zeros_like(centred)
