"""Which chords a song's key has, and how they follow each other.

The shares are round numbers for pop songs, of the order that corpora report (Temperley & de Clercq 2011 on rock,
Burgoyne et al. 2011 on the Billboard charts); the estimator's evidence outweighs them wherever it is clear.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from samuel_runtime.leadsheet.chords import QUALITIES, Key

VOCABULARY = tuple(
    (root, quality) for root in range(12) for quality in ("maj", "min", "7", "maj7", "min7", "hdim7", "dim", "sus4")
)
"""(root, quality) of every chord that is found by ear."""
TONES = np.array(
    [[(pitch - root) % 12 in QUALITIES[quality] for pitch in range(12)] for root, quality in VOCABULARY], np.float64
)
"""(chords, 12), 1 where a pitch class belongs to the chord."""
ROOTS = np.array([root for root, _ in VOCABULARY])
_CENTRED = TONES - TONES.mean(axis=1, keepdims=True)
_CENTRED /= np.linalg.norm(_CENTRED, axis=1, keepdims=True)
AGREEMENT = 0.5 * (ROOTS[:, None] == ROOTS) + 0.5 * (_CENTRED @ _CENTRED.T)
"""(chords, chords): half whether the roots are one, half the correlation of the tones; 1 of a chord with itself."""
KEYS = tuple(Key(tonic, minor) for minor in (False, True) for tonic in range(12))
"""In the order of ``Activations.key``."""

_IN_MAJOR = {
    (0, "maj"): 25, (5, "maj"): 16, (7, "maj"): 14, (9, "min"): 10, (7, "7"): 7, (2, "min"): 5, (2, "min7"): 4,
    (4, "min"): 3, (9, "min7"): 3, (0, "maj7"): 3, (5, "maj7"): 2, (2, "7"): 2, (4, "min7"): 1.5, (9, "7"): 1.5,
    (0, "7"): 1.5, (10, "maj"): 1.5, (7, "sus4"): 1.5, (4, "7"): 1, (5, "min"): 1, (8, "maj"): 0.5, (3, "maj"): 0.5,
    (11, "hdim7"): 0.4, (11, "dim"): 0.3,
}  # fmt: skip
_IN_MINOR = {
    (0, "min"): 25, (8, "maj"): 11, (10, "maj"): 10, (5, "min"): 9, (3, "maj"): 8, (7, "7"): 7, (7, "min"): 4,
    (7, "maj"): 4, (0, "min7"): 3, (5, "min7"): 3, (8, "maj7"): 2.5, (10, "7"): 2, (7, "min7"): 1.5, (2, "hdim7"): 1.5,
    (3, "maj7"): 1, (5, "maj"): 1, (7, "sus4"): 1, (2, "dim"): 0.5, (1, "maj"): 0.3,
}  # fmt: skip
_ELSEWHERE = 0.05  # of a hundred, any other chord
_MOVES = np.array([0.5, 0.6, 1.0, 0.8, 0.8, 1.6, 0.4, 1.2, 0.8, 0.8, 1.0, 0.6])
"""How much likelier roots move up by so many semitones than their shares in the key say; a fourth up most."""
_STAYS_IN_BAR, _STAYS_OVER_BAR_LINE = 0.65, 0.1
_ENDS_ON_TONIC = 3.0  # how much likelier the first and the last chord are the tonic than others


@cache
def log_shares(key: Key) -> np.ndarray:
    """(chords,) log-probability of every chord in a key."""
    weights = np.full(len(VOCABULARY), _ELSEWHERE)
    for (degree, quality), share in (_IN_MINOR if key.minor else _IN_MAJOR).items():
        weights[VOCABULARY.index(((degree + key.tonic) % 12, quality))] = share
    return np.log(weights / weights.sum())


@cache
def log_transitions(key: Key, over_bar_line: bool) -> np.ndarray:
    """(chords, next chords) log-probabilities from one half bar to the next."""
    moves = np.exp(log_shares(key)) * _MOVES[(ROOTS[None, :] - ROOTS[:, None]) % 12]
    stays = _STAYS_OVER_BAR_LINE if over_bar_line else _STAYS_IN_BAR
    return np.log((1 - stays) * moves / moves.sum(axis=1, keepdims=True) + stays * np.eye(len(VOCABULARY)))


@cache
def log_ends(key: Key) -> np.ndarray:
    """(chords,) how much more a song's first and last chord are the tonic."""
    tonic = (key.tonic, "min" if key.minor else "maj")
    return np.array([np.log(_ENDS_ON_TONIC) if chord == tonic else 0.0 for chord in VOCABULARY])
