"""Beats and bars as the decoder finds them: a little beside the true ones, and sometimes other ones."""

from __future__ import annotations

import numpy as np

from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.leadsheet.decoder.grid import BeatGrid

_EARLY_OR_LATE_S, _JITTER_S = 0.012, 0.008  # standard deviations: of all beats together, and of each
_HALVED, _DOUBLED = 0.04, 0.04  # shares of songs whose tempo is heard so
_OTHER_BARS = 0.15  # share whose bars begin on another beat
_SURE = 1.0


def drawn_grid(rng: np.random.Generator, sheet: LeadSheet) -> BeatGrid:
    """Of a sheet with beats."""
    beats_s = np.array(sheet.beats_s)
    downbeats = np.isin(beats_s, sheet.downbeats_s)
    beats_s = beats_s + rng.normal(0, _EARLY_OR_LATE_S) + rng.normal(0, _JITTER_S, len(beats_s))
    tempo = rng.random()
    if tempo < _HALVED:
        beats_s, downbeats = beats_s[::2], downbeats[::2]
    elif tempo < _HALVED + _DOUBLED:
        beats_s = np.interp(np.arange(2 * len(beats_s) - 1) / 2, np.arange(len(beats_s)), beats_s)
        downbeats = np.isin(np.arange(len(beats_s)), 2 * np.flatnonzero(downbeats))
    if rng.random() < _OTHER_BARS:
        downbeats = np.roll(downbeats, int(rng.integers(1, sheet.meter.beats)))
    return BeatGrid(sheet.meter, np.maximum.accumulate(beats_s), downbeats, _SURE, _SURE)
