"""Phases by integration: every partial goes on from where it was, and what belongs to it turns with it.

This is the phase vocoder with locked phases (Laroche & Dolson, 1999), with two differences: frequencies are predicted
instead of measured, and bins that belong to no partial take the phases of white noise. Phases are counted in cycles,
at the centre of each frame's window, where the bins of one partial agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samuel_runtime.codec.spectrum import (
    HOP_SAMPLES,
    LOWEST_BIN,
    PARTIALS,
    SAMPLE_RATE_HZ,
    SEMITONE_HZ,
    TUNED_BINS,
    WINDOW_SAMPLES,
    Spectrum,
)

WIDTH = PARTIALS + TUNED_BINS
"""Phases that are carried from frame to frame: of the partials, then of the tuned bins."""
_SAME = 0.6
"""Semitones within which two neighbouring partials of the bank are one partial that lies between them, or moved."""
_STAYS = 1.0  # semitones that a partial may move within a frame and still be preferred to itself
_TONAL_SPREAD = float(np.log(0.35))
"""Bins whose frequency is less certain than this, 7.5 Hz, are noise: what they would sound like is no tone."""
_REACH_BINS = 3  # Hann's main lobe ends 2 bins from its centre
_FAR = 10_000


@dataclass(frozen=True, eq=False)
class Links:
    """How the phases of each frame follow from those of the frame before."""

    source: np.ndarray
    """(..., frames, WIDTH) int: whose phase in the frame before is taken."""
    advance: np.ndarray
    """(..., frames, WIDTH) cycles that are added to it."""
    tonal: np.ndarray
    """(..., frames, TUNED_BINS) bool: bins that belong to a partial; the others are noise."""


def links(spectrum: Spectrum, before: Spectrum | None = None) -> Links:
    """Find every partial's origin.

    Args:
        spectrum: predictions; leading axes may be anything.
        before: the frame before the first, (..., 1, n) each; without it the first frame follows from itself.
    """
    source, advance = _partial_links(spectrum, before)
    owner, turns, tonal = _bin_links(spectrum)
    return Links(
        source=np.concatenate([source, PARTIALS + owner], axis=-1),
        advance=np.concatenate([advance, turns], axis=-1),
        tonal=tonal,
    )


def integrated(source: np.ndarray, advance: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Follow the links: cycles (frames, n), of links (frames, n) from the phases (n,) of the frame before the first."""
    cycles = np.empty(source.shape)
    current = start
    for frame in range(len(source)):
        current = current[source[frame]]
        current += advance[frame]
        cycles[frame] = current
    return cycles


def _partial_links(spectrum: Spectrum, before: Spectrum | None) -> tuple[np.ndarray, np.ndarray]:
    """Sources and advances of the bank, (..., frames, PARTIALS) each."""
    levels, deviations = spectrum.partial_levels, spectrum.partial_deviations
    index = np.arange(PARTIALS)
    midi = index + deviations
    # Within a frame: a partial between two semitones is the louder one's, and both must turn as one.
    owner = np.broadcast_to(index, midi.shape).copy()
    loudest = levels
    for side in (-1, 1):
        beside, louder = _beside(midi, side, np.inf), _beside(levels, side, -np.inf)
        # One of two that are equally loud must yield, and not both.
        taken = (np.abs(beside - midi) < _SAME) & ((louder > loudest) if side > 0 else (louder >= loudest))
        owner, loudest = np.where(taken, index + side, owner), np.where(taken, louder, loudest)
    # From frame to frame: a gliding partial is handed on to the next semitone with its phase.
    midi_before = _delayed(midi, None if before is None else index + before.partial_deviations)
    levels_before = _delayed(levels, None if before is None else before.partial_levels)
    parent = np.broadcast_to(index, midi.shape).copy()
    loudest = np.where(np.abs(midi_before - midi) < _STAYS, levels_before, -np.inf)
    for side in (-1, 1):
        beside, louder = _beside(midi_before, side, np.inf), _beside(levels_before, side, -np.inf)
        taken = (np.abs(beside - midi) < _SAME) & (louder > loudest)
        parent, loudest = np.where(taken, index + side, parent), np.where(taken, louder, loudest)
    advance = partial_hz(deviations) * (HOP_SAMPLES / SAMPLE_RATE_HZ)
    return np.take_along_axis(parent, owner, axis=-1), np.take_along_axis(advance, owner, axis=-1)


def partial_hz(deviations: np.ndarray) -> np.ndarray:
    """Frequencies (..., PARTIALS) of partials that deviate by so many semitones."""
    return np.asarray(SEMITONE_HZ * 2 ** (deviations / 12))


def _bin_links(spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Owners among the tuned bins, cycles that they turn by, and whether bins are tonal, (..., TUNED_BINS) each."""
    levels = spectrum.mid_levels[..., :TUNED_BINS]
    index = np.arange(TUNED_BINS)
    peak = (levels > _beside(levels, -1, -np.inf)) & (levels >= _beside(levels, 1, -np.inf))
    peak &= spectrum.bin_spreads < _TONAL_SPREAD
    below = np.maximum.accumulate(np.where(peak, index, -_FAR), axis=-1)
    above = np.minimum.accumulate(np.where(peak, index, _FAR)[..., ::-1], axis=-1)[..., ::-1]
    owner = np.where(index - below <= above - index, below, above)
    tonal = np.abs(owner - index) <= _REACH_BINS
    owner = np.where(tonal, owner, index)
    turns = (LOWEST_BIN + index + spectrum.bin_deviations) * (HOP_SAMPLES / WINDOW_SAMPLES)
    return owner, np.take_along_axis(turns, owner, axis=-1), tonal


def _beside(values: np.ndarray, side: int, edge: float) -> np.ndarray:
    """The values of each one's neighbour on the side (1 is above) along the last axis."""
    result = np.full_like(values, edge, dtype=np.float64)
    if side > 0:
        result[..., :-1] = values[..., 1:]
    else:
        result[..., 1:] = values[..., :-1]
    return result


def _delayed(values: np.ndarray, first: np.ndarray | None) -> np.ndarray:
    """The values of the frame before, along the last axis but one."""
    return np.concatenate([values[..., :1, :] if first is None else first, values[..., :-1, :]], axis=-2)
