"""What the estimator should say of a song whose lead sheet is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.leadsheet.chords import Chord, Key

UNKNOWN = -1
_BESIDE = (1.0, 0.7, 0.3)  # of a pulse in its frame, beside it, and two frames away: 23 ms


@dataclass(frozen=True, eq=False)
class HarmonyTargets:
    """Chords at some times, and the key."""

    tones: np.ndarray
    """(12, times) float32: pitch classes of the chord, C first."""
    root: np.ndarray
    """(times,) int64: of the chord, 0 .. 11; ``UNKNOWN`` where there is none or none is known."""
    chord_known: np.ndarray
    """(times,) float32, 1 or 0: whether it is known what sounds, or that nothing does."""
    key: int
    """0 .. 11 major from C up, 12 .. 23 minor; ``UNKNOWN``."""


@dataclass(frozen=True, eq=False)
class Targets(HarmonyTargets):
    """By frame; frame i is at (i + 0.5) ``FRAME_S``."""

    pulses: np.ndarray
    """(2, frames) float32: beats and downbeats, 1 where one is and less in the two frames on either side."""
    pulses_known: np.ndarray
    """(2,) float32, 1 or 0: whether there are beats and downbeats."""


def targets_of(sheet: LeadSheet, frames: int) -> Targets:
    """Targets of the first ``frames`` frames of a song; beyond the sheet's duration nothing is known of chords."""
    pulses = np.zeros((2, frames), np.float32)
    for channel, times_s in zip(pulses, (sheet.beats_s, sheet.downbeats_s), strict=True):
        at = np.floor(np.array(times_s) / FRAME_S).astype(int)
        for offset in range(1 - len(_BESIDE), len(_BESIDE)):
            near = at + offset
            near = near[(near >= 0) & (near < frames)]
            channel[near] = np.maximum(channel[near], _BESIDE[abs(offset)])
    harmony = harmony_targets(sheet, (np.arange(frames) + 0.5) * FRAME_S)
    known = np.array([bool(sheet.beats_s), bool(sheet.downbeats_s)], np.float32)
    return Targets(**vars(harmony), pulses=pulses, pulses_known=known)


def harmony_targets(sheet: LeadSheet, times_s: np.ndarray) -> HarmonyTargets:
    """What sounds at these times; outside the song nothing is known of chords."""
    tones = np.zeros((12, len(times_s)), np.float32)
    root = np.full(len(times_s), UNKNOWN)
    known = np.zeros(len(times_s), np.float32)
    sounding = np.searchsorted([chord.start_s for chord in sheet.chords], times_s, side="right") - 1
    sounding[(times_s > sheet.duration_s) | (times_s < 0)] = UNKNOWN
    for index, span in enumerate(sheet.chords):
        chord, here = Chord.parse(span.name), sounding == index
        known[here] = chord.known
        for tone in chord.pitch_classes:
            tones[tone, here] = 1
        if chord.root is not None:
            root[here] = chord.root
    key = Key.parse(sheet.key) if sheet.key is not None else None
    return HarmonyTargets(tones, root, known, UNKNOWN if key is None else key.tonic + 12 * key.minor)
