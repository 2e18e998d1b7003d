"""Chords of half bars and the key of the song, from averages of the activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S, Activations
from samuel_runtime.leadsheet.chords import Key
from samuel_runtime.leadsheet.decoder.grid import beats_since_bar
from samuel_runtime.leadsheet.decoder.harmony import (
    AGREEMENT,
    KEYS,
    ROOTS,
    TONES,
    log_ends,
    log_shares,
    log_transitions,
)
from samuel_runtime.leadsheet.sheet import Meter

_TONE_DOUBT, _ROOT_DOUBT = 0.05, 0.15
_FOURTH_TONE = -0.7  # a chord of four tones must be spoken for, a triad is understood
_KEY_WEIGHT = 4.0  # of the logarithm of the estimator's word
_FIT_WEIGHT = 0.09  # a half bar's, since neighbours do not err independently
_HEARD = 0.02  # standard deviation over pitch classes of mean activations, below which no chord is heard


@dataclass(frozen=True)
class Weights:
    """How far an estimator's probabilities are believed; chosen on songs that are neither trained on nor held out."""

    tones: float
    """Of their log-probabilities."""
    root: float
    """Likewise: tones are twelve, and say less of the root."""
    trust: float
    """Of a span's log-likelihoods beside those of others, since neighbours do not err independently."""


BY_FRAME, ON_BEATS = Weights(1.0, 8.0, 0.35), Weights(2.0, 12.0, 0.7)
"""Of the estimator that hears all at once, and of the one that hears chords alone, on known beats."""


@dataclass(frozen=True, eq=False)
class Spans:
    """Half bars of 4/4, whole bars of 3/4 and 6/8: a chord each."""

    starts_s: np.ndarray
    ends_s: np.ndarray
    opens_bar: np.ndarray
    """(spans,) bool, whether a bar line is at its start."""


def beats_a_span(meter: Meter) -> int:
    """How long a chord lasts: half a bar of 4/4, a whole one of 3/4 and 6/8."""
    return 2 if meter is Meter.COMMON else meter.beats


def spans(beats_s: np.ndarray, downbeats: np.ndarray, meter: Meter, duration_s: float) -> Spans:
    """Divide the song.

    Args:
        beats_s: (beats,), at least one.
        downbeats: (beats,) bool.
        meter: of its bars.
        duration_s: end of the last span.
    """
    begins = downbeats | (beats_since_bar(downbeats) % beats_a_span(meter) == 0)
    begins[0] = True
    starts_s = beats_s[begins]
    return Spans(starts_s, np.append(starts_s[1:], duration_s), downbeats[begins])


def emissions(activations: Activations, where: Spans, weights: Weights) -> np.ndarray:
    """(spans, chords) log-likelihoods of every chord of the vocabulary."""
    tones = _TONE_DOUBT + (1 - 2 * _TONE_DOUBT) * _averaged(activations.tones, where)
    roots = _ROOT_DOUBT / 12 + (1 - _ROOT_DOUBT) * _root_shares(activations, where)
    by_tones = np.log(tones) @ TONES.T + np.log(1 - tones) @ (1 - TONES.T)
    four = TONES.sum(axis=1) > 3
    return np.asarray(weights.tones * by_tones + weights.root * np.log(roots)[:, ROOTS] + _FOURTH_TONE * four)


def chords_heard(activations: Activations) -> bool:
    """Whether the activations prefer any pitch class to others at any time."""
    contrast = max(float(each.std(axis=1).mean()) for each in (activations.tones, activations.root))
    return contrast >= _HEARD


def key_probabilities(activations: Activations, log_likelihoods: np.ndarray) -> np.ndarray:
    """(24,) of ``KEYS``: the estimator's word, and how well the chords of the whole song fit.

    Args:
        activations: of the song.
        log_likelihoods: (spans, chords).
    """
    heard = activations.key.mean(axis=0, dtype=np.float64)
    heard = 0.02 / len(KEYS) + 0.98 * heard / max(float(heard.sum()), 1e-6)
    scores = _KEY_WEIGHT * np.log(heard)
    for index, key in enumerate(KEYS):
        fit = _with_ends(log_likelihoods + log_shares(key), key)
        top = fit.max(axis=1)
        scores[index] += _FIT_WEIGHT * (top + np.log(np.exp(fit - top[:, None]).sum(axis=1))).sum()
    odds = np.exp(scores - scores.max())
    return np.asarray(odds / odds.sum())


def best_chords(log_likelihoods: np.ndarray, opens_bar: np.ndarray, key: Key, trust: float) -> list[int]:
    """The chord of each span that can be expected to agree best with the true one (minimum Bayes risk).

    Agreement is ``AGREEMENT``, and what may be the true one is said by the whole song, forwards and backwards. The
    likeliest path (Viterbi) is right as a whole more often, and in fewer of its spans.

    Args:
        log_likelihoods: (spans, chords), one span at least.
        opens_bar: (spans,) bool.
        key: whose chords are likelier.
        trust: of :class:`Weights`.

    Returns:
        Index into the vocabulary of every span's chord.
    """
    scores = _with_ends(trust * log_likelihoods, key)
    scores[0] += log_shares(key)
    shares = {over: np.exp(log_transitions(key, over)) for over in (False, True)}
    posterior = _posterior(scores, [shares[bool(opens)] for opens in opens_bar[1:]])
    return (posterior @ AGREEMENT).argmax(axis=1).tolist()


def root_confidences(activations: Activations, where: Spans, chords: Sequence[int]) -> np.ndarray:
    """(spans,) how sure each span's root is: the estimator's mean probability of it.

    Of 70 voices the mean was 0.52 where 0.57 of the roots were right, and 0.42 of 50 real melodies where 0.46 were. The
    posterior probability of the chord, whose weights are to find it and not to say how sure it is, was 0.73 and 0.66.
    """
    return _root_shares(activations, where)[np.arange(len(chords)), ROOTS[list(chords)]]


def _with_ends(log_likelihoods: np.ndarray, key: Key) -> np.ndarray:
    """(spans, chords) with what speaks for the tonic where the song begins and ends."""
    told = log_likelihoods.copy()
    told[[0, -1]] += log_ends(key)
    return told


def _posterior(scores: np.ndarray, moves: list[np.ndarray]) -> np.ndarray:
    """(spans, chords) probabilities given the whole song."""
    likely = np.exp(scores - scores.max(axis=1, keepdims=True))
    forwards, backwards = likely.copy(), np.ones_like(likely)
    for span in range(1, len(likely)):
        forwards[span] *= forwards[span - 1] @ moves[span - 1]
        forwards[span] /= forwards[span].sum()
    for span in range(len(likely) - 2, -1, -1):
        backwards[span] = moves[span] @ (backwards[span + 1] * likely[span + 1])
        backwards[span] /= backwards[span].sum()
    both = forwards * backwards
    return np.asarray(both / both.sum(axis=1, keepdims=True))


def _root_shares(activations: Activations, where: Spans) -> np.ndarray:
    """(spans, 12) mean probabilities of the roots, which sum to one."""
    roots = _averaged(activations.root, where)
    return np.asarray(roots / np.maximum(roots.sum(axis=1, keepdims=True), 1e-6))


def _averaged(values: np.ndarray, where: Spans) -> np.ndarray:
    """(spans, 12) means, in which the edges count little: neighbours' chords reach over them."""
    frames = len(values)
    averaged = np.zeros((len(where.starts_s), values.shape[1]))
    for index, (start_s, end_s) in enumerate(zip(where.starts_s, where.ends_s, strict=True)):
        first = min(max(round(start_s / FRAME_S), 0), frames - 1)
        last = min(max(round(end_s / FRAME_S), first + 1), frames)
        weights = np.sin(np.pi * (np.arange(last - first) + 0.5) / (last - first)) + 0.2
        averaged[index] = weights @ values[first:last] / weights.sum()
    return averaged
