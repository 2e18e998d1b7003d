"""Does a band play the bass that is written? The loudest bin of a constant-Q transform after each written onset."""

from __future__ import annotations

from collections.abc import Sequence

import librosa
import numpy as np
import soxr

from samuel_train.synth.compose.score import Hit

_RATE_HZ = 11_025
_HOP_SAMPLES = 256
_LOWEST_MIDI, _BINS = 24, 36  # C1 to B3
_WRITTEN_MIDI = (27, 52)
_SETTLED_S, _LONGEST_S = 0.08, 0.6
_SHORTEST_S = 0.2
_EDGE_S = 0.1, 1.0  # from the beginning and the end
_FRAMES_LEAST = 3


def bass_notes_right(samples: np.ndarray, sample_rate_hz: int, hits: Sequence[Hit]) -> tuple[int, int]:
    """(notes whose pitch class is detected, notes that were looked for); chance is one in twelve.

    Args:
        samples: (samples, channels) of the band.
        sample_rate_hz: of the samples.
        hits: of the bass, as written.
    """
    mono = soxr.resample(samples.mean(axis=1), sample_rate_hz, _RATE_HZ)
    transform = librosa.cqt(
        mono, sr=_RATE_HZ, hop_length=_HOP_SAMPLES, fmin=librosa.midi_to_hz(_LOWEST_MIDI), n_bins=_BINS
    )
    magnitude = np.abs(transform)
    times_s = np.arange(magnitude.shape[1]) * _HOP_SAMPLES / _RATE_HZ
    right = asked = 0
    for hit in _askable(hits, len(mono) / _RATE_HZ):
        sounding = (times_s > hit.start_s + _SETTLED_S) & (times_s < hit.start_s + min(hit.duration_s, _LONGEST_S))
        if sounding.sum() >= _FRAMES_LEAST:
            detected = _LOWEST_MIDI + int(magnitude[:, sounding].mean(axis=1).argmax())
            right, asked = right + ((detected - hit.midi) % 12 == 0), asked + 1
    return right, asked


def _askable(hits: Sequence[Hit], duration_s: float) -> list[Hit]:
    """Notes that are long, low and whole enough to be detected."""
    return [
        hit
        for hit in hits
        if _WRITTEN_MIDI[0] <= hit.midi <= _WRITTEN_MIDI[1]
        and hit.duration_s > _SHORTEST_S
        and hit.start_s > _EDGE_S[0]
        and hit.start_s + hit.duration_s < duration_s - _EDGE_S[1]
    ]
