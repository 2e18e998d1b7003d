"""Phonemes into syllables: consonants lead into a vowel, and what is left at a word's end closes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_VOWEL_LETTERS = frozenset("aeiouyAEIOUV03@&")
_LONGEST_VOWEL_S = 0.6


@dataclass(frozen=True)
class Syllable:
    """Times within an utterance, in seconds."""

    onset_s: float
    """Its consonants begin."""
    vowel_s: float
    coda_s: float
    """The vowel ends."""
    end_s: float
    hummed: bool = False
    """Whether the mouth stays closed: the vowel is an m."""


def is_vowel(phoneme: str) -> bool:
    """Whether one of espeak-ng's mnemonics is a vowel or diphthong."""
    return phoneme[:1] in _VOWEL_LETTERS


def split(phonemes: Sequence[tuple[float, str]], end_s: float) -> tuple[Syllable, ...]:
    """The syllables of an utterance that ends at ``end_s``; none if nothing in it can be held."""
    spoken = [(start_s, name) for start_s, name in phonemes if not name.startswith("_") and name]
    pauses = [start_s for start_s, name in phonemes if name.startswith("_") and spoken and start_s > spoken[-1][0]]
    stop_s = min([end_s, *pauses])
    bounds = [*(start_s for start_s, _ in spoken), stop_s]
    spans = [(start_s, until_s, name) for (start_s, until_s), (_, name) in zip(pairwise(bounds), spoken, strict=True)]
    nuclei = [index for index, (_, _, name) in enumerate(spans) if is_vowel(name)]
    if not nuclei:  # a hum
        return (Syllable(bounds[0], bounds[0], stop_s, stop_s, hummed=True),) if spans else ()
    syllables = []
    for order, nucleus in enumerate(nuclei):
        first = nuclei[order - 1] + 1 if order else 0
        start_s, until_s, _ = spans[nucleus]
        closing_s = spans[-1][1] if order == len(nuclei) - 1 else until_s
        syllables.append(Syllable(spans[first][0], start_s, min(until_s, start_s + _LONGEST_VOWEL_S), closing_s))
    return tuple(syllable for syllable in syllables if syllable.coda_s - syllable.vowel_s > 0.04)
