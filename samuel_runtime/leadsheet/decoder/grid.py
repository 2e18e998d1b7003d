"""Beats and bars, and those that need no search: a constant tempo's, and the bar lines on beats that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.leadsheet.decoder.beats import METER_PRIOR
from samuel_runtime.leadsheet.decoder.scores import BeatScores
from samuel_runtime.leadsheet.sheet import Meter

_PHASE_STEP_S = 0.002
_BLUR_S = 0.02  # of the activation, so that a click between two singers' beats is found between them


@dataclass(frozen=True, eq=False)
class BeatGrid:
    """Beats and bars of a song, and how sure they are, 0 .. 1."""

    meter: Meter
    beats_s: np.ndarray
    """(beats,) ascending."""
    downbeats: np.ndarray
    """(beats,) bool, whether a bar begins there."""
    confidence: float
    bars_confidence: float


def beats_since_bar(downbeats: np.ndarray) -> np.ndarray:
    """(beats,) beats since the last bar line; before the first one, less than zero, counted back from it."""
    places = np.arange(len(downbeats))
    first = int(downbeats.argmax()) if downbeats.any() else 0
    since = places - np.maximum.accumulate(np.where(downbeats, places, -1))
    since[:first] = places[:first] - first
    return since


def constant_grid(bpm: float, first_beat_s: float | None, scores: BeatScores, duration_s: float) -> np.ndarray:
    """Times of all beats of a click, to the microsecond.

    Args:
        bpm: its tempo.
        first_beat_s: one of its beats; None takes the phase that the activations speak for most.
        scores: by frame.
        duration_s: of the song.
    """
    beat_s = 60 / bpm
    phase_s = _likeliest_phase_s(beat_s, scores, duration_s) if first_beat_s is None else first_beat_s % beat_s
    times_s = phase_s + beat_s * np.arange(int((duration_s - phase_s) / beat_s) + 2)
    return times_s[times_s < duration_s]


def bar_positions(times_s: np.ndarray, scores: BeatScores, meters: Sequence[Meter]) -> tuple[np.ndarray, Meter]:
    """(beats,) positions in the bar, and the meter that with them is likeliest."""
    gains = scores.bar[np.clip((times_s / FRAME_S).astype(int), 0, len(scores.bar) - 1)]
    best, found = -np.inf, (np.zeros(0, int), meters[0])
    for meter in meters:
        for shift in range(meter.beats):
            positions = (np.arange(len(times_s)) + shift) % meter.beats
            score = (gains * ((positions == 0) - 1 / meter.beats)).sum() + np.log(METER_PRIOR[meter] / meter.beats)
            if score > best:
                best, found = score, (positions, meter)
    return found


def _likeliest_phase_s(beat_s: float, scores: BeatScores, duration_s: float) -> float:
    width = int(3 * _BLUR_S / FRAME_S)
    kernel = np.exp(-0.5 * (np.arange(-width, width + 1) * FRAME_S / _BLUR_S) ** 2)
    padded = np.pad(scores.beat, width, mode="edge")
    smooth = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    phases_s = np.arange(0, beat_s, _PHASE_STEP_S)
    centres_s = (np.arange(len(smooth)) + 0.5) * FRAME_S
    beats = np.arange(max(1, int(duration_s / beat_s)))
    of_phase = np.array([np.interp(phase_s + beat_s * beats, centres_s, smooth).sum() for phase_s in phases_s])
    return float(phases_s[of_phase.argmax()])
