"""A lead sheet with the notes that somebody sings to it: what examples without audio are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from samuel_runtime.leadsheet import ChordSpan, LeadSheet, Meter
from samuel_runtime.leadsheet.chords import Chord, Key
from samuel_train.synth.compose.phrasing import Performed
from samuel_train.synth.dsp import rms, smooth
from samuel_train.synth.facts import SongFacts
from samuel_train.synth.sung import LONGEST_S, compose_melody
from samuel_train.synth.voice.singer import Singer

_STRETCH = 1.25  # at most, either way
_DRIFTING = 0.5  # share of singers whose tempo is their own
_MOST_DRIFT_S = 0.25  # standard deviation of where they are, against a metronome
_DRIFT_S = 6.0  # how slowly that changes
_FASTER = 0.1  # or slower, at most, than its mean
_WARP_STEP_S = 0.1
_BEFORE_S = 30.0  # notes may begin before the excerpt


@dataclass(frozen=True)
class SungSheet:
    """What is known of an excerpt, and how it is sung."""

    sheet: LeadSheet
    singer: Singer
    notes: tuple[Performed, ...]
    """At least one."""


def sheet_of(facts: SongFacts, duration_s: float) -> LeadSheet:
    """The facts of a procedural song as a lead sheet, without its melody."""
    key = Key.parse(f"{facts.tonic} {facts.mode}")
    beats_s = tuple(time_s for time_s in facts.beats_s if time_s <= duration_s)
    return LeadSheet(
        duration_s=duration_s,
        meter=Meter(facts.meter),
        key=str(key),
        beats_s=beats_s,
        downbeats_s=tuple(time_s for time_s in facts.bars_s if time_s <= duration_s),
        chords=tuple(
            ChordSpan(start_s, Chord.parse(name).named(key)) for start_s, name in facts.chords if start_s <= duration_s
        ),
    )


def procedural_sheet(rng: np.random.Generator, duration_s: float) -> SungSheet | None:
    """A new song at any tempo by any singer; None if nobody sings in the excerpt."""
    stretch = drawn_stretch(rng)
    written_s = duration_s / stretch
    song = compose_melody(int(rng.integers(1 << 62)), written_s)
    if not song.notes:
        return None
    return warped(SungSheet(sheet_of(song.facts, written_s), song.singer, song.notes), drawn_warp(rng, stretch))


@dataclass(frozen=True, eq=False)
class Warp:
    """An increasing map of times that keeps 0, as knots that are joined by straight lines."""

    from_s: np.ndarray
    to_s: np.ndarray

    def __call__(self, time_s: float) -> float:
        """Where a time goes."""
        return float(np.interp(time_s, self.from_s, self.to_s))

    def origin_s(self, times_s: np.ndarray) -> np.ndarray:
        """Where these times come from."""
        return np.interp(times_s, self.to_s, self.from_s)


def drawn_warp(rng: np.random.Generator, stretch: float) -> Warp:
    """Stretches all times evenly and, for half of the singers, drifts as without a metronome."""
    before, after = round(_BEFORE_S / _WARP_STEP_S), round(LONGEST_S / _WARP_STEP_S)
    at_s = np.arange(-before, after + 1) * _WARP_STEP_S
    drift = smooth(rng.normal(0, 1, len(at_s)), round(_DRIFT_S / _WARP_STEP_S))
    depth_s = float(rng.uniform(0, _MOST_DRIFT_S)) if rng.random() < _DRIFTING else 0.0
    speed = 1 + np.clip(np.diff(depth_s * drift / max(rms(drift), 1e-9)) / _WARP_STEP_S, -_FASTER, _FASTER)
    moved_s = np.concatenate([[0.0], np.cumsum(speed)]) * _WARP_STEP_S * stretch
    return Warp(at_s, moved_s - moved_s[before])


def drawn_stretch(rng: np.random.Generator) -> float:
    """A factor of all times, evenly drawn among tempi."""
    return float(np.exp(rng.uniform(-1, 1) * np.log(_STRETCH)))


def warped_sheet(sheet: LeadSheet, warp: Warp) -> LeadSheet:
    """The sheet with all its times mapped; its melody goes."""
    return replace(
        sheet,
        duration_s=warp(sheet.duration_s),
        beats_s=tuple(map(warp, sheet.beats_s)),
        downbeats_s=tuple(map(warp, sheet.downbeats_s)),
        chords=tuple(replace(chord, start_s=warp(chord.start_s)) for chord in sheet.chords),
        melody=(),
    )


def warped(song: SungSheet, warp: Warp) -> SungSheet:
    """The song with all its times mapped."""
    notes = tuple(replace(note, onset_s=warp(note.onset_s), end_s=warp(note.end_s)) for note in song.notes)
    return SungSheet(warped_sheet(song.sheet, warp), song.singer, notes)
