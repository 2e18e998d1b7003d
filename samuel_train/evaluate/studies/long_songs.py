"""Songs of some minutes: stems that are long enough, else stems looped on their bar lines.

A loop repeats what is there from the first downbeat to the last, so that key, tempo and bars go on without a break:
what then changes from window to window is the model's doing. It is no substitute for a long performance, whose singer
would drift as well; and because windows and loop differ in length, each window hears another part of the song.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np

from samuel_train.evaluate.songs import Stems
from samuel_train.synth.facts import SongFacts

_LEAST_BARS = 4
_SEAM_S = 0.005


@dataclass(frozen=True, eq=False)
class LongSong:
    """A song of the wanted length."""

    stems: Stems
    """Voice and true band, (samples, channels)."""
    facts: SongFacts | None
    """With beats and chords of the whole; None if nothing is written about it."""
    loop_s: float | None
    """Length of what is repeated; None if nothing is."""


def lengthened(stems: Stems, facts: SongFacts | None, samples: int, sample_rate_hz: int) -> LongSong | None:
    """A song of ``samples`` samples, or None if it is too short and has no four bars that are known to loop."""
    if len(stems.vocals) >= samples:
        return LongSong(Stems(stems.vocals[:samples], stems.accompaniment[:samples]), facts, None)
    if facts is None:
        return None
    duration_s = len(stems.vocals) / sample_rate_hz
    bars_s = [bar_s for bar_s in facts.bars_s if bar_s <= duration_s]
    if len(bars_s) <= _LEAST_BARS:
        return None
    start, stop = (round(bar_s * sample_rate_hz) for bar_s in (bars_s[0], bars_s[-1]))
    loop_s = (stop - start) / sample_rate_hz
    times = -(-samples // (stop - start))

    def looped(times_s: Sequence[float]) -> tuple[float, ...]:
        inside_s = np.array([one_s for one_s in times_s if bars_s[0] <= one_s < bars_s[-1]]) - bars_s[0]
        everywhere_s = np.concatenate([inside_s + turn * loop_s for turn in range(times)])
        return tuple(everywhere_s[everywhere_s < samples / sample_rate_hz])

    before = [name for start_s, name in facts.chords if start_s <= bars_s[0]]
    inside = [(start_s, name) for start_s, name in facts.chords if bars_s[0] < start_s < bars_s[-1]]
    chords = [(bars_s[0], name) for name in before[-1:]] + inside  # each turn begins with the chord of its first bar
    starts_s = looped([start_s for start_s, _ in chords])
    known = replace(
        facts,
        beats_s=looped(facts.beats_s),
        downbeats_s=looped(bars_s),
        chords=tuple((start_s, name) for start_s, (_, name) in zip(starts_s, cycle(chords))),
        melody=(),
    )
    vocals, band = (
        np.tile(_sealed(stem[start:stop], sample_rate_hz), (times, 1))[:samples]
        for stem in (stems.vocals, stems.accompaniment)
    )
    return LongSong(Stems(vocals, band), known, loop_s)


def facts_within(facts: SongFacts | None, start_s: float, stop_s: float) -> SongFacts | None:
    """What is known of a part of a song, in the part's own time: its key, tempo, beats and bars."""
    if facts is None:
        return None

    def inside(times_s: Sequence[float]) -> tuple[float, ...]:
        return tuple(one_s - start_s for one_s in times_s if start_s <= one_s < stop_s)

    return replace(facts, beats_s=inside(facts.beats_s), downbeats_s=inside(facts.bars_s), chords=(), melody=())


def _sealed(loop: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """A loop (samples, channels) that fades for 5 ms at both ends, so that its seam does not click."""
    fade = np.linspace(0, 1, round(_SEAM_S * sample_rate_hz), dtype=np.float32)[:, None]
    sealed = loop.copy()
    sealed[: len(fade)] *= fade
    sealed[-len(fade) :] *= fade[::-1]
    return sealed
