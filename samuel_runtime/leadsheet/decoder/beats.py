"""Beats, bars and meter of a whole song: the bar-pointer model of Krebs, Boeck & Widmer, "An efficient state-space
model for joint tempo and meter tracking" (ISMIR 2015), decoded by Viterbi from beat to beat.

Their states are positions in the bar times tempi, and between beats a state can only move on. So it suffices to keep
the states at beats, (frame, tempo, beat of the bar), and to jump the beat's length in one step (a hidden semi-Markov
model), which costs a fiftieth. The lengths of beats are whole frames that scatter about the tempo: a tempo between two
whole lengths needs no change of tempo to be kept.

All meters are columns of one table. A beat is a dozen frames at least, and so many frames are computed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.leadsheet.decoder.scores import BeatScores
from samuel_runtime.leadsheet.sheet import Meter

_POOL = 2
GRID_S = _POOL * FRAME_S
"""Distance of the frames in which beats are decoded, before their times are refined: 23 ms."""
_BPM_LEAST, _BPM_MOST, _TEMPO_STEP = 50.0, 215.0, 0.02
_TEMPI = np.exp(np.arange(np.log(_BPM_LEAST), np.log(_BPM_MOST) + _TEMPO_STEP / 2, _TEMPO_STEP))  # beats a minute
_LENGTHS = 60 / _TEMPI / GRID_S  # of a beat, in frames
_ROUNDINGS = np.arange(-1, 3)
_DURATIONS = np.floor(_LENGTHS).astype(int)[:, None] + _ROUNDINGS  # (tempi, roundings) whole frames
_BLOCK, _LONGEST = int(_DURATIONS.min()), int(_DURATIONS.max())
_SCATTER = 1.3  # frames, standard deviation of a beat's length: singers and peaks of activations
_BAND = 2  # steps of tempo that a beat may differ from the one before
_TEMPO_CHANGE = 100.0  # of the exponential distribution of tempo ratios, as in the paper
_PRIOR_WIDTH = 0.4  # of ln(bpm)
_PRIOR_BPM = 105.0
_PRIOR_A_SECOND = 0.3  # nats; it holds all along the song, since what misleads the estimator once misleads it again
METER_PRIOR = {Meter.COMMON: 0.85, Meter.WALTZ: 0.1, Meter.SIX_EIGHT: 0.05}


@dataclass(frozen=True, eq=False)
class BeatPath:
    """The likeliest sequence of beats."""

    times_s: np.ndarray
    """(beats,) to half a frame of the grid; from the first to the last moment of the song, through its rests."""
    positions: np.ndarray
    """(beats,) in the bar, 0 is the downbeat."""
    meter: Meter


def likeliest_beats(scores: BeatScores, meters: Sequence[Meter]) -> BeatPath:
    """Viterbi over the song, of at least one frame.

    Args:
        scores: by frame.
        meters: those among which the likeliest is taken.
    """
    table = _Table.of(meters)
    observed = _observed(scores, table)
    frames = len(observed)
    blocks = -(-frames // _BLOCK)
    observed = np.pad(observed, ((0, blocks * _BLOCK - frames), (0, 0)), constant_values=-np.inf)
    tempi, columns = len(_TEMPI), len(table.previous)
    off = (_DURATIONS - _LENGTHS[:, None]) / _SCATTER
    log_durations = np.asarray(-0.5 * off**2, np.float32)[:, :, None]
    rows = _LONGEST + np.arange(_BLOCK)[:, None, None] - _DURATIONS  # (block, tempi, roundings)
    rows = np.ascontiguousarray((rows * tempi + np.arange(tempi)[:, None]).transpose(2, 0, 1))
    change, tempo_prior = _change_costs(), _tempo_prior()

    past = np.broadcast_to(table.start, (_LONGEST * tempi, columns)).astype(np.float32)  # before the song: any beat
    which_rounding = np.empty((blocks * _BLOCK, tempi, columns), np.int8)
    which_change = np.empty_like(which_rounding)
    candidate = np.empty((_BLOCK, tempi, columns), np.float32)
    widened = np.full((_BLOCK, tempi + 2 * _BAND, columns), -np.inf, np.float32)
    arrived = widened[:, _BAND:-_BAND]
    for first in range(0, blocks * _BLOCK, _BLOCK):
        here = slice(first, first + _BLOCK)
        for rounding in range(len(_ROUNDINGS)):
            np.take(past, rows[rounding], axis=0, out=candidate, mode="clip")
            np.add(candidate, log_durations[:, rounding], out=candidate)
            _keep_better(candidate, arrived, which_rounding[here], rounding)
        best = np.empty_like(candidate)
        for step in range(2 * _BAND + 1):
            np.add(widened[:, step : step + tempi], change[step], out=candidate)
            _keep_better(candidate, best, which_change[here], step)
        best += observed[here, None, :]
        best += tempo_prior[:, None]
        past = np.concatenate([past[_BLOCK * tempi :], best[..., table.previous].reshape(-1, columns)])
    frame, tempo, column = _last(past, frames, blocks, table)
    beats = []
    while frame >= 0:
        beats.append((frame, column))
        tempo += int(which_change[frame, tempo, column]) - _BAND
        frame -= int(_DURATIONS[tempo, which_rounding[frame, tempo, column]])
        column = int(table.previous[column])
    found, in_column = np.array(beats[::-1]).T
    meter = table.meter[in_column[0]]
    return BeatPath((found + 0.5) * GRID_S, table.position[in_column], meter)


@dataclass(frozen=True, eq=False)
class _Table:
    """Columns of the Viterbi table: the beats of the bars of all meters."""

    meter: list[Meter]
    position: np.ndarray
    previous: np.ndarray
    """Column of the beat before."""
    bar_weights: np.ndarray
    """By how much of the score for a bar's beginning a beat gains: they sum to zero over every bar."""
    start: np.ndarray
    """Log-probability that a song begins with it."""

    @classmethod
    def of(cls, meters: Sequence[Meter]) -> _Table:
        meter = [meter for meter in meters for _ in range(meter.beats)]
        position = np.concatenate([np.arange(meter.beats) for meter in meters])
        first = np.arange(len(meter)) - position
        beats = np.array([each.beats for each in meter])
        return cls(
            meter,
            position,
            first + (position - 1) % beats,
            (position == 0) - 1 / beats,
            np.log([METER_PRIOR[each] / each.beats for each in meter]),
        )


def _observed(scores: BeatScores, table: _Table) -> np.ndarray:
    """(frames of the grid, columns): of two frames the one that speaks more for a beat."""
    pairs = np.pad(scores.beat, (0, -len(scores.beat) % _POOL), mode="edge").reshape(-1, _POOL)
    better = np.minimum(pairs.argmax(axis=1) + _POOL * np.arange(len(pairs)), len(scores.beat) - 1)
    return np.asarray(scores.beat[better, None] + scores.bar[better, None] * table.bar_weights, np.float32)


def _tempo_prior() -> np.ndarray:
    """(tempi,) of a beat."""
    off = np.log(_TEMPI / _PRIOR_BPM) / _PRIOR_WIDTH
    return np.asarray(-0.5 * off**2 * _PRIOR_A_SECOND * 60 / _TEMPI, np.float32)


def _change_costs() -> np.ndarray:
    """(steps,) log-probabilities of a change of tempo by -_BAND .. _BAND steps, against none."""
    costs = -_TEMPO_CHANGE * np.abs(np.expm1(_TEMPO_STEP * np.arange(-_BAND, _BAND + 1)))
    return np.asarray(costs, np.float32)


def _keep_better(candidate: np.ndarray, best: np.ndarray, which: np.ndarray, index: int) -> None:
    """Overwrite ``best`` where the candidate is better, and say so in ``which``; the first candidate is taken."""
    if index == 0:
        best[...] = candidate
        which[...] = 0
        return
    np.copyto(which, index, where=candidate > best)
    np.maximum(best, candidate, out=best)


def _last(past: np.ndarray, frames: int, blocks: int, table: _Table) -> tuple[int, int, int]:
    """(frame, tempo, column) of the last beat: the best of those that no other follows within the song."""
    ends = past.reshape(_LONGEST, len(_TEMPI), -1).copy()
    at = np.arange(_LONGEST) + blocks * _BLOCK - _LONGEST
    ends[(at < 0) | (at >= frames)] = -np.inf
    ends[at[:, None] + _LENGTHS < frames] = -np.inf
    row, tempo, following = np.unravel_index(ends.argmax(), ends.shape)
    return int(at[row]), int(tempo), int(table.previous[following])
