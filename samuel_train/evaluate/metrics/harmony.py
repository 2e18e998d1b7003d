"""Which pitch classes sound when: chroma pooled over half bars, compared with the true band's or the true chords'."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from samuel_train.evaluate.spectra import FRAME_S
from samuel_train.synth.compose.theory import Chord

_SPAN_S = 1.0
_SILENT = 0.01
"""A span whose largest chroma is below this share of the loudest span's, 40 dB, is silent."""


def spans(duration_s: float, half_bars_s: np.ndarray | None) -> np.ndarray:
    """Where half bars begin, and the end of the last, (spans + 1,) seconds; whole seconds where none are known.

    Args:
        duration_s: of the song; a span that it cuts short is left out.
        half_bars_s: where they begin; None if unknown.
    """
    if half_bars_s is None:
        return np.arange(0.0, duration_s + 1e-9, _SPAN_S)
    return half_bars_s[half_bars_s <= duration_s]


def pooled(chroma: np.ndarray, bounds_s: np.ndarray) -> np.ndarray:
    """Mean chroma of each span, (12, spans): of as many as lie inside chroma (12, frames)."""
    frames = np.ceil(bounds_s / FRAME_S).astype(int)
    frames = frames[frames <= chroma.shape[1]]
    means = [chroma[:, start : max(stop, start + 1)].mean(axis=1) for start, stop in pairwise(frames)]
    return np.stack(means, axis=1) if means else np.zeros((12, 0))


def chord_chroma(chords: Sequence[tuple[float, str]], bounds_s: np.ndarray) -> np.ndarray:
    """The chord of each span as chroma, (12, spans): one for its pitch classes, else zero.

    Args:
        chords: (start in seconds, name) of every change; each lasts until the next.
        bounds_s: of the spans, (spans + 1,).

    Raises:
        ValueError: if a name is none of a chord.
    """
    starts_s = np.array([start_s for start_s, _ in chords])
    classes = [Chord.from_name(name).pitch_classes for _, name in chords]
    template = np.zeros((12, len(bounds_s) - 1))
    for index, (start_s, stop_s) in enumerate(pairwise(bounds_s)):
        sounding = int(np.searchsorted(starts_s, (start_s + stop_s) / 2, side="right")) - 1
        if sounding >= 0:
            template[list(classes[sounding]), index] = 1.0
    return template


def correlation(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Mean over the spans of Pearson's correlation over the twelve pitch classes; 1 is the same harmony.

    A span that is silent in ``estimate`` counts as 0; one that is silent in the reference does not count, nor do those
    that only one of the two has.

    Args:
        reference: (12, spans), chroma or chords.
        estimate: (12, spans), chroma.
    """
    count = min(reference.shape[1], estimate.shape[1])
    reference, estimate = reference[:, :count], estimate[:, :count]
    told = _sounding(reference)
    if not told.any():
        return 0.0
    correlations = (_unit(reference) * _unit(estimate)).sum(axis=0)  # (spans,)
    return float((correlations * _sounding(estimate))[told].mean())


def _sounding(chroma: np.ndarray) -> np.ndarray:
    """Which spans are not silent, (spans,)."""
    peaks = chroma.max(axis=0, initial=0.0)
    return np.asarray(peaks > _SILENT * peaks.max(initial=0.0))


def _unit(chroma: np.ndarray) -> np.ndarray:
    """Columns of zero mean and unit length; columns without differences stay zero."""
    centred = chroma - chroma.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    return centred / np.where(lengths > 0, lengths, 1.0)
