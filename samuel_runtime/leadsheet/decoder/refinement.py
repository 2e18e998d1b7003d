"""Times of beats between the frames: centroids of the activation, steadied by those of their neighbours."""

from __future__ import annotations

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S

_REACH_S = 0.045
_SCATTER_S = 0.015  # of a clear peak about the beat
_UNSTEADY = 0.01  # change of a beat's length from one to the next, of its length
_UNHEARD = 1e-8  # weight of a beat without activation: it lies where its neighbours say
_CERTAIN = 1e3


def refined(times_s: np.ndarray, activation: np.ndarray, known_s: np.ndarray) -> np.ndarray:
    """Beats at their true times.

    Args:
        times_s: (beats,) to a few tens of milliseconds.
        activation: (frames,) of beats.
        known_s: times at which a beat is for certain; those next to a beat hold it there.
    """
    if len(times_s) < 3:
        return times_s
    offsets = np.arange(-(reach := round(_REACH_S / FRAME_S)), reach + 1)
    frames = np.round(times_s / FRAME_S - 0.5).astype(int)[:, None] + offsets  # (beats, 2 reach + 1)
    inside = (frames >= 0) & (frames < len(activation))
    heard = np.where(inside, activation[np.clip(frames, 0, len(activation) - 1)], 0)
    at_s = (frames + 0.5) * FRAME_S
    mass = (heard * np.cos(np.pi / 2 * np.clip((at_s - times_s[:, None]) / (_REACH_S + FRAME_S), -1, 1))) ** 2
    total = mass.sum(axis=1)
    observed_s = np.where(total > 1e-9, (mass * at_s).sum(axis=1) / np.maximum(total, 1e-9), times_s)
    weights = heard.max(axis=1) ** 2 + _UNHEARD
    for time_s in known_s:
        nearest = int(np.abs(times_s - time_s).argmin())
        if abs(times_s[nearest] - time_s) <= 2 * _REACH_S:
            observed_s[nearest], weights[nearest] = time_s, _CERTAIN
    length_s = float(np.median(np.diff(times_s)))
    return steadied(observed_s, weights, (_SCATTER_S / (_UNSTEADY * length_s)) ** 2)


def steadied(values: np.ndarray, weights: np.ndarray, stiffness: float) -> np.ndarray:
    """Minimise sum w (x - values)^2 + stiffness sum (x'')^2 (Whittaker 1923), by LDL' of its five diagonals.

    Args:
        values: (n,), three at least.
        weights: (n,), positive.
        stiffness: of second differences.
    """
    count = len(values)
    second = np.array([1.0, -2.0, 1.0])
    diagonal, beside, beyond = weights.astype(np.float64).copy(), np.zeros(count), np.zeros(count)
    for place in range(3):
        diagonal[place : count - 2 + place] += stiffness * second[place] ** 2
    for place in range(2):
        beside[place : count - 2 + place] += stiffness * second[place] * second[place + 1]
    beyond[: count - 2] = stiffness
    line = np.linspace(values[0], values[-1], count)  # solved about a line, which costs nothing, for the rounding
    pivots, first, further, solved = [0.0] * count, [0.0] * count, [0.0] * count, (weights * (values - line)).tolist()
    for row in range(count):
        pivot, coupling = diagonal[row], beside[row]
        if row >= 1:
            pivot -= pivots[row - 1] * first[row - 1] ** 2
            coupling -= pivots[row - 1] * first[row - 1] * further[row - 1]
            solved[row] -= first[row - 1] * solved[row - 1]
        if row >= 2:
            pivot -= pivots[row - 2] * further[row - 2] ** 2
            solved[row] -= further[row - 2] * solved[row - 2]
        pivots[row], first[row], further[row] = pivot, coupling / pivot, beyond[row] / pivot
    for row in reversed(range(count)):
        solved[row] /= pivots[row]
        if row + 1 < count:
            solved[row] -= first[row] * solved[row + 1]
        if row + 2 < count:
            solved[row] -= further[row] * solved[row + 2]
    return line + np.array(solved)
