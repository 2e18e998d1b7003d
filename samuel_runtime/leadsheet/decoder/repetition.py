"""Songs repeat: what was heard four or eight bars away says what the chord is here, where both places agree."""

from __future__ import annotations

import numpy as np

from samuel_runtime.leadsheet.chords import Key
from samuel_runtime.leadsheet.decoder.harmony import ROOTS, log_shares

_LAGS = {4: 0.5, 8: 0.35, 12: 0.5, 16: 0.5}
"""Bars, and the probability that a song repeats after so many: before anything is heard, in procedural pop songs."""
_AROUND_BARS = 4  # over which it is asked whether the song repeats
_TRUST = 0.25  # of a place's log-likelihoods, when they speak for another place
_ALWAYS_NEW = 0.03  # what a repetition may change


def with_repetitions(log_likelihoods: np.ndarray, spans_a_bar: int, key: Key) -> np.ndarray:
    """Log-likelihoods with what the same places of repeated bars add to them.

    One message of belief propagation (Pearl, 1988) passes between every two places that are a lag apart: the likelihood
    ratio s q(c) / p(c) + 1 - s of each chord c, where q is what the other place says by itself, p the chord's share in
    the key, and s the probability that the song repeats there, which the roots of the bars around decide.

    Args:
        log_likelihoods: (spans, chords).
        spans_a_bar: how many spans a bar has.
        key: whose chords are likelier.
    """
    shares = np.exp(log_shares(key))
    heard = _TRUST * log_likelihoods + log_shares(key)
    beliefs = np.exp(heard - heard.max(axis=1, keepdims=True))
    beliefs /= beliefs.sum(axis=1, keepdims=True)
    roots, root_shares = _by_root(beliefs), _by_root(shares)
    told = log_likelihoods.copy()
    for bars, prior in _LAGS.items():
        lag = bars * spans_a_bar
        if lag >= len(beliefs):
            break
        agreement = np.log((roots[lag:] * roots[:-lag] / root_shares).sum(axis=1))  # (pairs,)
        around = np.ones(min(_AROUND_BARS * spans_a_bar, len(agreement)))
        odds = prior / (1 - prior) * np.exp(np.convolve(agreement, around, "same")[: len(agreement)])
        repeats = ((1 - _ALWAYS_NEW) * odds / (1 + odds))[:, None]
        told[lag:] += np.log(repeats * beliefs[:-lag] / shares + 1 - repeats)
        told[:-lag] += np.log(repeats * beliefs[lag:] / shares + 1 - repeats)
    return told


def _by_root(chords: np.ndarray) -> np.ndarray:
    """(..., chords) probabilities summed to (..., 12 roots)."""
    return np.asarray(chords @ (ROOTS[:, None] == np.arange(12)))
