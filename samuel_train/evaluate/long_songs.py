"""Songs of some minutes: stems that are long enough, else stems looped on their bar lines.

A loop repeats what is there from the first downbeat to the last, so that key, tempo and bars go on without a break:
what then changes from window to window is the model's doing. It is no substitute for a long performance, whose singer
would drift as well; and because windows and loop differ in length, each window hears another part of the song.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from samuel_train.evaluate.songs import Stems
from samuel_train.synth.song import SongFacts

_BEATS_PER_BAR = 4
_BEATS_PER_HALF_BAR = 2
_LEAST_BARS = 4
_SEAM_S = 0.005


@dataclass(frozen=True, eq=False)
class LongSong:
    """A song of the wanted length."""

    stems: Stems
    """Voice and true band, (samples, channels)."""
    facts: SongFacts | None
    """With the beats of the whole; None if nothing is written about it."""
    loop_s: float | None
    """Length of what is repeated; None if nothing is."""


def lengthened(stems: Stems, facts: SongFacts | None, samples: int, sample_rate_hz: int) -> LongSong | None:
    """A song of ``samples`` samples, or None if it is too short and has no four bars that are known to loop."""
    if len(stems.vocals) >= samples:
        return LongSong(Stems(stems.vocals[:samples], stems.accompaniment[:samples]), facts, None)
    if facts is None:
        return None
    duration_s = len(stems.vocals) / sample_rate_hz
    downbeats_s = [beat_s for beat_s in facts.beats_s[::_BEATS_PER_BAR] if beat_s <= duration_s]
    if len(downbeats_s) <= _LEAST_BARS:
        return None
    start, stop = (round(beat_s * sample_rate_hz) for beat_s in (downbeats_s[0], downbeats_s[-1]))
    loop_s = (stop - start) / sample_rate_hz
    inside_s = np.array([beat_s for beat_s in facts.beats_s if beat_s < downbeats_s[-1]]) - downbeats_s[0]
    times = -(-samples // (stop - start))
    beats_s = np.concatenate([inside_s + turn * loop_s for turn in range(times)])
    beats_s = beats_s[beats_s < samples / sample_rate_hz]
    vocals, band = (
        np.tile(_sealed(stem[start:stop], sample_rate_hz), (times, 1))[:samples]
        for stem in (stems.vocals, stems.accompaniment)
    )
    return LongSong(Stems(vocals, band), replace(facts, beats_s=tuple(beats_s), chords=(), melody=()), loop_s)


def facts_within(facts: SongFacts | None, start_s: float, stop_s: float) -> SongFacts | None:
    """What is known of a part of a song, in the part's own time: its key, tempo, and beats from a half bar on."""
    if facts is None:
        return None
    first = next((i for i in range(0, len(facts.beats_s), _BEATS_PER_HALF_BAR) if facts.beats_s[i] >= start_s), None)
    beats_s = () if first is None else tuple(beat - start_s for beat in facts.beats_s[first:] if beat < stop_s)
    return replace(facts, beats_s=beats_s, chords=(), melody=())


def _sealed(loop: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """A loop (samples, channels) that fades for 5 ms at both ends, so that its seam does not click."""
    fade = np.linspace(0, 1, round(_SEAM_S * sample_rate_hz), dtype=np.float32)[:, None]
    sealed = loop.copy()
    sealed[: len(fade)] *= fade
    sealed[-len(fade) :] *= fade[::-1]
    return sealed
