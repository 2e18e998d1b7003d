"""The estimator's input: one function for real voices and for simulated ones."""

from __future__ import annotations

import numpy as np

from samuel_runtime.melody.tracks import MelodyTracks

CHROMA, HEIGHT, VOICING, LOUDNESS, RISE, PITCH_CHANGE, ONSET = slice(0, 12), 12, 13, 14, 15, 16, 17
"""Channels: pitch classes of F0, C first, which fade into each other; octaves above the song's median; whether the
frame is voiced; level; its rise; how fast the pitch moves; and how much sound begins."""
MELODY_CHANNELS = 18

_UNSURE, _SURE = 0.3, 0.7  # confidences between which a frame counts in part
_RANGE_DB = 40.0  # below the voice's level, where level is 0
_LOUD_PERCENTILE = 90.0
_SILENT_DB = -75.0  # level of a voice below which all is silence
_LAG_FRAMES = 3  # 35 ms
_MOST = 2.0  # of height in octaves, of pitch change in semitones, and of the flux


def melody_features(tracks: MelodyTracks) -> np.ndarray:
    """float32 (MELODY_CHANNELS, frames), each of about 0 .. 1.

    Octaves, which trackers confuse and whistles move, touch the height alone. The recording's gain changes nothing.
    Transposition by a semitone rolls the first twelve channels by one and leaves the others.
    """
    features = np.zeros((MELODY_CHANNELS, tracks.frames), np.float32)
    voicing = np.clip((tracks.confidence - _UNSURE) / (_SURE - _UNSURE), 0, 1)
    heard = voicing >= 0.5
    sounding_db = tracks.loudness_db[heard] if heard.any() else tracks.loudness_db
    if not len(sounding_db):
        return features
    loud_db = np.percentile(sounding_db, _LOUD_PERCENTILE)
    if loud_db < _SILENT_DB:
        return features
    midi = 69 + 12 * np.log2(tracks.f0_hz / 440)
    features[CHROMA] = _chroma(midi) * voicing
    if heard.any():
        octaves = (midi - np.median(midi[heard])) / 12
        features[HEIGHT] = np.clip(octaves, -_MOST, _MOST) * voicing
    features[VOICING] = voicing
    level = np.clip(1 + (tracks.loudness_db - loud_db) / _RANGE_DB, 0, 1.25)
    features[LOUDNESS] = level
    features[RISE, _LAG_FRAMES:] = 4 * np.maximum(level[_LAG_FRAMES:] - level[:-_LAG_FRAMES], 0)
    moved = np.abs(midi[_LAG_FRAMES:] - midi[:-_LAG_FRAMES]) % 12
    moved = np.minimum(np.minimum(moved, 12 - moved), _MOST)
    features[PITCH_CHANGE, _LAG_FRAMES:] = moved * voicing[_LAG_FRAMES:] * voicing[:-_LAG_FRAMES]
    features[ONSET] = np.clip(tracks.onset, 0, _MOST)
    return features


def _chroma(midi: np.ndarray) -> np.ndarray:
    """(12, frames): a pitch between two semitones is shared by both, linearly."""
    distance = np.abs((midi - np.arange(12)[:, None] + 6) % 12 - 6)
    return np.maximum(1 - distance, 0)
