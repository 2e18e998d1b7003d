"""What a spectral decoder predicts: levels and frequencies, from which phases follow by integration.

A convolutional network cannot know a phase, which is an integral over the song, but it can know how fast the phase
turns. So it predicts no phase, and no waveform:

- below 689 Hz a bank of **partials**, one for each semitone from MIDI 21 to 76, with an amplitude and a deviation from
  the semitone. Bins of 21.5 Hz could not tell the notes of a bass apart.
- above, the **bins** of a short-time Fourier transform (Hann windows of 2048 samples, 512 apart, bins of 21.5 Hz) with
  a level; up to 5.5 kHz also with the frequency of the partial that it belongs to and with how certain that is.
- side is predicted relative to mid: panned partials share their phase, diffuse sound does not.
- an **envelope** of four gains a frame sharpens attacks within the windows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

SAMPLE_RATE_HZ = 44_100
WINDOW_SAMPLES = 2048
"""Length of the Hann window and of the transform."""
HOP_SAMPLES = 512
"""From one frame to the next; frame i is centred on sample 512 i + 256."""
BINS = WINDOW_SAMPLES // 2
"""Bins 0 .. 1023 of 21.5 Hz; the Nyquist bin is silent."""

LOWEST_BIN = 32
"""First bin that is predicted; the partials make what is below."""
LEVELLED_BINS = BINS - LOWEST_BIN
"""Bins with a level."""
TUNED_BINS = 224
"""Bins with a frequency: the first of those with a level, 0.7 to 5.5 kHz."""

LOWEST_MIDI = 21
PARTIALS = 56
"""Semitones from ``LOWEST_MIDI`` on."""
SEMITONE_HZ = 440.0 * 2 ** ((np.arange(LOWEST_MIDI, LOWEST_MIDI + PARTIALS) - 69) / 12)
"""Of each partial without deviation, (PARTIALS,)."""
MOST_DEVIATION = 0.6
"""Semitones that a partial may deviate to either side."""

ENVELOPE_STEPS = 4
"""Gains a frame, 128 samples apart; the first is centred on sample 512 i + 64."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Predictions for some frames; leading axes may be anything. Levels are natural logarithms of amplitudes, where a
    sine of full scale has 1."""

    partial_levels: np.ndarray
    """(frames, PARTIALS) of mid."""
    partial_deviations: np.ndarray
    """(frames, PARTIALS) semitones, at most ``MOST_DEVIATION`` to either side."""
    partial_pans: np.ndarray
    """(frames, PARTIALS) side over mid, -1 (right alone) to 1 (left alone)."""
    mid_levels: np.ndarray
    """(frames, LEVELLED_BINS)"""
    side_levels: np.ndarray
    """(frames, LEVELLED_BINS)"""
    coherences: np.ndarray
    """(frames, LEVELLED_BINS) cosine of the angle between side and mid, -1 to 1."""
    bin_deviations: np.ndarray
    """(frames, TUNED_BINS) bins from a bin's centre to the frequency at which it turns."""
    bin_spreads: np.ndarray
    """(frames, TUNED_BINS) natural logarithm of the expected absolute error of the deviations."""
    envelope: np.ndarray
    """(frames, ENVELOPE_STEPS) natural logarithms of gains."""

    def __getitem__(self, frames: slice) -> Spectrum:
        """Some of the frames, where no axis leads."""
        return Spectrum(**{field.name: getattr(self, field.name)[frames] for field in fields(self)})

    def copy(self) -> Spectrum:
        """The same in memory of its own."""
        return Spectrum(**{field.name: getattr(self, field.name).copy() for field in fields(self)})

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return int(self.envelope.shape[-2])


SPECTRUM_WIDTHS = {
    "partial_levels": PARTIALS,
    "partial_deviations": PARTIALS,
    "partial_pans": PARTIALS,
    "mid_levels": LEVELLED_BINS,
    "side_levels": LEVELLED_BINS,
    "coherences": LEVELLED_BINS,
    "bin_deviations": TUNED_BINS,
    "bin_spreads": TUNED_BINS,
    "envelope": ENVELOPE_STEPS,
}
"""Outputs of a spectral decoder's graph, float32 (1, frames, width) each, by name."""
