"""A lead sheet as the denoiser sees it: channels by latent frame."""

from __future__ import annotations

import numpy as np

from samuel_runtime.leadsheet.chords import Chord
from samuel_runtime.leadsheet.sheet import LeadSheet, Meter

BEAT, BAR, METER, TONES, ROOT, KNOWN = slice(0, 2), slice(2, 4), slice(4, 7), slice(7, 19), slice(19, 31), slice(31, 34)
"""Channels: sine and cosine of the phase in the beat, the same in the bar, the meter among three, pitch classes of the
chord, its root, and whether beats, bars and chords are known. What is not known is zero."""
CHANNELS = 34
KNOWN_BEATS, KNOWN_BARS, KNOWN_CHORDS = range(31, 34)


def rasterised(sheet: LeadSheet, frames: int, frame_s: float) -> np.ndarray:
    """The sheet at the middle of every frame, float32 (CHANNELS, frames).

    Args:
        sheet: of the song; beyond its first and last beats the grid goes on evenly.
        frames: how many, the first from the song's beginning.
        frame_s: length of a frame.
    """
    raster = np.zeros((CHANNELS, frames), np.float32)
    times_s = (np.arange(frames) + 0.5) * frame_s
    if len(sheet.beats_s) >= 2:
        beats = _extrapolated(times_s, np.array(sheet.beats_s), np.arange(len(sheet.beats_s)))
        raster[BEAT] = _circle(beats)
        raster[KNOWN_BEATS] = 1
        if sheet.downbeats_s:
            raster[BAR] = _circle(_bar_position(sheet, beats))
            raster[METER][list(Meter).index(sheet.meter)] = 1
            raster[KNOWN_BARS] = 1
    bounds = [*np.searchsorted(times_s, [chord.start_s for chord in sheet.chords]).tolist(), frames]
    for span, first, end in zip(sheet.chords, bounds, bounds[1:], strict=False):
        here, chord = slice(first, end), Chord.parse(span.name)
        raster[KNOWN_CHORDS, here] = chord.known
        for tone in chord.pitch_classes:
            raster[TONES.start + tone, here] = 1
        if chord.root is not None:
            raster[ROOT.start + chord.root, here] = 1
    return raster


def _bar_position(sheet: LeadSheet, beats: np.ndarray) -> np.ndarray:
    """Bars since the first downbeat, for positions in beats since the first beat."""
    downbeats = np.searchsorted(np.array(sheet.beats_s) - 1e-6, sheet.downbeats_s, side="right") - 1.0  # among beats
    bars, per_beat = np.arange(len(downbeats)), 1 / sheet.meter.beats
    inside = np.interp(beats, downbeats, bars)
    before, after = np.minimum(beats - downbeats[0], 0), np.maximum(beats - downbeats[-1], 0)
    return inside + (before + after) * per_beat


def _extrapolated(at: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Linear interpolation of y(x), which goes on beyond both ends with the slope of the last interval."""
    inside = np.interp(at, x, y)
    before = np.minimum(at - x[0], 0) * (y[1] - y[0]) / (x[1] - x[0])
    after = np.maximum(at - x[-1], 0) * (y[-1] - y[-2]) / (x[-1] - x[-2])
    return inside + before + after


def _circle(position: np.ndarray) -> np.ndarray:
    """(2, n) sine and cosine of a position that comes round at every integer."""
    angle = 2 * np.pi * position
    return np.stack([np.sin(angle), np.cos(angle)])
