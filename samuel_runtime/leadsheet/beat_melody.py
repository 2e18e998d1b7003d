"""The melody on the song's beats: what the chords' estimator hears, one function for the runtime and for training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.leadsheet.decoder.grid import BeatGrid, beats_since_bar
from samuel_runtime.leadsheet.sheet import Meter
from samuel_runtime.melody import MELODY_CHANNELS, MelodyTracks, melody_features
from samuel_runtime.melody.features import CHROMA, HEIGHT
from samuel_runtime.melody.tuning import in_tune

SLOTS = 2
"""Of a beat: eighths in 4/4."""
_PLACES = 4  # beats of the longest bar
_MELODY = tuple(range(HEIGHT, MELODY_CHANNELS))  # the features that transposition leaves as they are
_SHORTEST_BEAT_S = 0.1
_USUAL_BPM = 100.0


@dataclass(frozen=True, eq=False)
class BeatMelody:
    """Slots from before the song's start to after its end, its beats continued in their usual tempo."""

    pitches: np.ndarray
    """float32 (PITCH_CHANNELS, 12, slots), C first: how much of a pitch class is sung in the first half of the slot and
    in the second, and how high. Transposition rolls the second axis."""
    moments: np.ndarray
    """float32 (MOMENT_CHANNELS, slots): the rest of the melody's features, the beat of the bar, the part of the beat,
    the meter, and octaves of tempo above 100 bpm."""
    edges_s: np.ndarray
    """(slots + 1,) where slots begin and end."""


def beat_melody(tracks: MelodyTracks, grid: BeatGrid) -> BeatMelody:
    """Average the melody's features over slots, the voice tuned to concert pitch.

    Args:
        tracks: of the whole song.
        grid: two beats at least; without downbeats it is not known where bars begin.
    """
    beats_s, meter = grid.beats_s, grid.meter
    beat_s = max(float(np.median(np.diff(beats_s))), _SHORTEST_BEAT_S)
    before = int(np.ceil(max(beats_s[0], 0) / beat_s))
    after = int(np.ceil(max(tracks.frames * FRAME_S - beats_s[-1], 0) / beat_s))
    early_s, late_s = beats_s[0] - beat_s * np.arange(before, 0, -1), beats_s[-1] + beat_s * np.arange(1, after + 1)
    times_s = np.concatenate([early_s, beats_s, late_s])
    places = _places(np.pad(grid.downbeats, (before, after)), meter)[:-1]
    halves_s = np.interp(np.arange(2 * SLOTS * (len(times_s) - 1) + 1) / (2 * SLOTS), np.arange(len(times_s)), times_s)
    edges_s = halves_s[::2]
    features = melody_features(in_tune(tracks))
    of_halves, of_slots = _averaged(features[CHROMA], halves_s), _averaged(features[list(_MELODY)], edges_s)
    heights = _averaged(features[CHROMA] * features[HEIGHT], edges_s)
    moments = np.concatenate([
        of_slots,
        np.repeat(places.T, SLOTS, axis=1),
        np.tile(np.eye(SLOTS), len(places)),
        np.repeat(np.eye(len(Meter))[:, [list(Meter).index(meter)]], of_slots.shape[1], axis=1),
        np.full((1, of_slots.shape[1]), np.log2(60 / beat_s / _USUAL_BPM)),
    ])  # fmt: skip
    pitches = np.stack([of_halves[:, ::2], of_halves[:, 1::2], heights])
    return BeatMelody(pitches.astype(np.float32), moments.astype(np.float32), edges_s)


def _places(downbeats: np.ndarray, meter: Meter) -> np.ndarray:
    """(beats, _PLACES) one where a beat has that place in its bar; bars go on before the first and after the last."""
    places = np.zeros((len(downbeats), _PLACES))
    if downbeats.any():
        places[np.arange(len(downbeats)), beats_since_bar(downbeats) % meter.beats] = 1
    return places


def _averaged(values: np.ndarray, edges_s: np.ndarray) -> np.ndarray:
    """(channels, edges - 1) means of frames between two edges; nothing beyond the song."""
    total = np.pad(np.cumsum(values, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
    edges = np.clip(np.round(edges_s / FRAME_S).astype(int), 0, values.shape[1])
    return np.diff(total[:, edges], axis=1) / np.maximum(np.diff(edges), 1)
