"""How the melody tracker would hear a singer, without sound: curves of pitch, voicing, loudness and attacks.

Measured on rendered voices whose notes are known, against the written beginning of each note: inside phrases 46 % of
the syllables of a song with words begin with an unvoiced gap, from 99 ms (12 .. 182) before the note to the note
itself (-23 .. 12), in which the level falls by some 9 dB; with la-la it is 19 %, in hums none. A phrase's first
consonant is heard as voiced in half of the songs. Spectral flux is 0.1 within a note, 0.8 (0.4 .. 1.4) at a syllable,
0.45 where a syllable is carried on, 1.3 to 2 after silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from samuel_runtime.leadsheet.activations import FRAME_S
from samuel_runtime.melody import MelodyTracks
from samuel_runtime.melody.pitch import VOICED
from samuel_train.synth.compose.phrasing import (
    CONTROL_S,
    Performed,
    control_times_s,
    fundamental_hz,
    loudness_curve,
)
from samuel_train.synth.dsp import smooth
from samuel_train.synth.voice.singer import Performance, Singer
from samuel_train.synth.voice.whistle import octaves_up

_QUIET_DB = -60.0  # against the voice: nobody sings
_WINDOW_POINTS = 9  # 46 ms, over which the tracker measures loudness
_CONFIDENCE_POINTS = 7
_FLUX_LAG_FRAMES = 2
_FLUX_COMPRESSION = 30.0  # as in samuel_runtime/melody/attacks.py
_ATTACK_FRAMES = 2.0  # standard deviation of an attack in the flux
_AHEAD_FRAMES = 1.0  # the window hears an attack before its middle does
_WHISTLED_FLUX = 0.3  # of the flux of a level's rise: a whistle fills a band or two


@dataclass(frozen=True)
class _Consonant:
    """A kind of beginning of a syllable."""

    seconds: tuple[float, float]
    """Range of its length; it ends where the note begins."""
    level_db: tuple[float, float]
    """Range of its level against the voice."""
    voiced: float
    """Probability that the tracker takes it for voiced."""
    attack: tuple[float, float]
    """Range of the flux where it begins."""


_NONE = _Consonant((0.0, 0.01), (-6, 0), 1.0, (0.0, 0.1))
_NASAL = _Consonant((0.03, 0.12), (-10, -2), 0.9, (0.1, 0.5))
_STOP = _Consonant((0.04, 0.13), (-38, -14), 0.0, (0.0, 0.3))
_VOICED_STOP = _Consonant((0.03, 0.1), (-24, -8), 0.5, (0.0, 0.3))
_FRICATIVE = _Consonant((0.05, 0.2), (-22, -3), 0.06, (0.2, 1.0))
_KINDS = (_NONE, _NASAL, _STOP, _VOICED_STOP, _FRICATIVE)
_SHARES = {
    Performance.WORDS: (0.15, 0.38, 0.2, 0.1, 0.17),
    Performance.VOCABLES: (0.12, 0.72, 0.05, 0.08, 0.03),
    Performance.HUM: (0.65, 0.35, 0.0, 0.0, 0.0),
    Performance.WHISTLE: (0.9, 0.0, 0.1, 0.0, 0.0),
}
_VOWEL_ATTACK = {
    Performance.WORDS: (0.1, 0.7),
    Performance.VOCABLES: (0.1, 0.5),
    Performance.HUM: (0.0, 0.3),
    Performance.WHISTLE: (0.0, 0.15),
}
"""Range of the flux where a note begins; less where it carries a syllable on."""


def simulated_tracks(
    rng: np.random.Generator, notes: Sequence[Performed], singer: Singer, duration_s: float
) -> MelodyTracks:
    """The tracks of a recording of these notes, of which there must be one; the same generator gives the same."""
    times_s = control_times_s(notes, duration_s)
    f0_hz = fundamental_hz(rng, notes, singer, times_s)
    if singer.performance is Performance.WHISTLE:
        f0_hz = f0_hz * 2 ** octaves_up(f0_hz)
    voice = _Articulated.silent(times_s)
    voice.level_db[:] = 20 * np.log10(np.maximum(loudness_curve(notes, times_s), 1e-3))
    for note in notes:
        voice.voiced[voice.span(note.onset_s, note.end_s)] = True
    for note, following in pairwise(notes):
        if not following.opens_phrase:
            voice.voiced[voice.span(note.onset_s, following.onset_s)] = True
    _begin_syllables(rng, voice, notes, singer)
    _breathe(rng, voice, notes)
    _record(rng, voice)
    confidence = _confidence(rng, voice)
    f0_hz = _mistracked(rng, f0_hz, confidence)
    frames = int(np.ceil(duration_s / FRAME_S))
    late_s = float(rng.normal(0, 0.01))  # of the tracker and the recording
    at = np.clip(np.searchsorted(times_s, (np.arange(frames) + 0.5) * FRAME_S - late_s), 0, len(times_s) - 1)
    level_db = voice.level_db[at]
    rising = float(rng.uniform(0.5, 1.0)) * (_WHISTLED_FLUX if singer.performance is Performance.WHISTLE else 1.0)
    return MelodyTracks(
        f0_hz=f0_hz[at],
        confidence=confidence[at],
        loudness_db=level_db + float(rng.uniform(-35, -12)),
        onset=_flux(rng, level_db, voice, late_s, rising),
    )


@dataclass(eq=False)
class _Articulated:
    """A voice while it is made, point by point."""

    times_s: np.ndarray
    level_db: np.ndarray
    """Against the voice."""
    voiced: np.ndarray
    attacks: list[tuple[float, float]]
    """Time and flux of everything that begins."""

    @classmethod
    def silent(cls, times_s: np.ndarray) -> _Articulated:
        return cls(times_s, np.full(len(times_s), _QUIET_DB), np.zeros(len(times_s), bool), [])

    def span(self, start_s: float, end_s: float) -> slice:
        return slice(*np.searchsorted(self.times_s, [start_s, end_s]))


def _begin_syllables(rng: np.random.Generator, voice: _Articulated, notes: Sequence[Performed], singer: Singer) -> None:
    shares, attack = _SHARES[singer.performance], _VOWEL_ATTACK[singer.performance]
    clarity = float(rng.uniform(0.5, 1.3))
    for note in notes:
        strength = clarity * float(rng.uniform(*attack))
        if note.carries_on:
            voice.attacks.append((note.onset_s, 0.5 * strength))
            continue
        kind = _KINDS[rng.choice(len(_KINDS), p=shares)]
        late_s = float(rng.uniform(-0.02, 0.02))  # where the vowel takes over
        lead_s = float(rng.uniform(*kind.seconds))
        spoken = voice.span(note.onset_s + late_s - lead_s, note.onset_s + late_s)
        voiced = bool(rng.random() < kind.voiced)
        voice.voiced[spoken] = voiced
        voice.level_db[spoken] = float(rng.uniform(*kind.level_db))
        if not voiced and late_s > 0:
            voice.voiced[voice.span(note.onset_s, note.onset_s + late_s)] = False
        voice.attacks.append((note.onset_s + late_s - lead_s, clarity * float(rng.uniform(*kind.attack))))
        voice.attacks.append((note.onset_s + late_s, strength))


def _breathe(rng: np.random.Generator, voice: _Articulated, notes: Sequence[Performed]) -> None:
    """Breaths between phrases, and the ends of phrases."""
    loud_db, rings_s = float(rng.uniform(-45, -20)), float(rng.uniform(0, 0.15))
    silent_since_s = -1.0
    for note in notes:
        gap_s = note.onset_s - silent_since_s
        silent_since_s = note.end_s
        if gap_s > 0.35 and rng.random() < 0.8:
            length_s = min(gap_s - 0.2, float(rng.uniform(0.15, 0.45)))
            start_s = note.onset_s - float(rng.uniform(0.1, 0.2)) - length_s
            breath = voice.span(start_s, start_s + length_s)
            points = breath.stop - breath.start
            voice.level_db[breath] = loud_db - 12 * (1 - np.sin(np.pi * np.linspace(0, 1, points)))
            voice.attacks.append((start_s + 0.05, 0.01 * float(rng.uniform(0, 1)) * (60 + loud_db)))
        if note.closes_phrase:  # given up early, or ringing on
            voice.voiced[voice.span(note.end_s - float(rng.uniform(0, 0.12)), note.end_s)] = False
            voice.voiced[voice.span(note.end_s, note.end_s + float(rng.exponential(rings_s)))] = True


def _record(rng: np.random.Generator, voice: _Articulated) -> None:
    """A room that rings, a floor of noise, and the window in which loudness is measured."""
    fall_db = 60 / float(rng.uniform(0.12, 0.9)) * CONTROL_S
    ramp = fall_db * np.arange(len(voice.level_db))
    ringing = np.maximum.accumulate(voice.level_db + ramp) - ramp - float(rng.uniform(6, 30))
    floor_db = float(rng.uniform(-75, -28)) + 2 * smooth(rng.normal(0, 1, len(ramp)), 41)
    power = 10 ** (np.maximum(np.maximum(voice.level_db, ringing), floor_db) / 10)
    wander_db = 6 * float(rng.uniform(0.2, 1)) * smooth(rng.normal(0, 1, len(ramp)), 61)
    voice.level_db = 10 * np.log10(smooth(power, _WINDOW_POINTS)) + wander_db


def _confidence(rng: np.random.Generator, voice: _Articulated) -> np.ndarray:
    """Of being voiced: sure in notes, with gaps, and now and then where nobody sings."""
    points = len(voice.voiced)
    duration_s = points * CONTROL_S
    sure = float(rng.uniform(0.85, 1.0)) - 0.3 * np.abs(smooth(rng.normal(0, 1, points), 15)) * float(rng.uniform(0, 1))
    unsure = float(rng.uniform(0.02, 0.3)) * (1 + smooth(rng.normal(0, 1, points), 15))
    confidence = np.where(voice.voiced, sure, unsure)
    for rate_hz, lowest, highest, longest_s in ((0.3, 0.05, 0.5, 0.15), (0.5, 0.45, 0.9, 0.12)):  # gaps, false voicing
        for _ in range(rng.poisson(rate_hz * float(rng.uniform(0, 1)) * duration_s)):
            start = int(rng.integers(points))
            span = slice(start, start + int(rng.uniform(0.02, longest_s) / CONTROL_S))
            confidence[span] = float(rng.uniform(lowest, highest))
    return np.clip(smooth(confidence, _CONFIDENCE_POINTS), 0, 1)


def _mistracked(rng: np.random.Generator, f0_hz: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """F0 with faults: octaves, anything where nobody sings, and straight lines across what is unvoiced."""
    points = len(f0_hz)
    octaves = np.log2(f0_hz) + 0.004 * smooth(rng.normal(0, 1, points), 5)
    for _ in range(rng.poisson(0.4 * float(rng.uniform(0, 1)) ** 2 * points * CONTROL_S)):
        start = int(rng.integers(points))
        octaves[start : start + int(rng.uniform(0.02, 0.3) / CONTROL_S)] += rng.choice([-1, 1])
    voiced = confidence >= VOICED
    changes = np.flatnonzero(np.diff(np.concatenate([[0], voiced.view(np.int8), [0]])))
    for start, stop in changes.reshape(-1, 2):
        if stop - start < 0.06 / CONTROL_S and rng.random() < 0.5:  # what is voiced so shortly is hardly a note
            octaves[start:stop] = np.log2(float(rng.uniform(80, 700)))
    if voiced.any():
        octaves = np.interp(np.arange(points), np.flatnonzero(voiced), octaves[voiced])
    return 2**octaves


def _flux(
    rng: np.random.Generator, level_db: np.ndarray, voice: _Articulated, late_s: float, rising: float
) -> np.ndarray:
    """Rises of the level, attacks, and the flicker of a sounding voice; ``level_db`` by frame."""
    frames = np.arange(len(level_db))
    loud = np.log1p(_FLUX_COMPRESSION * 10 ** (level_db / 20))
    flux = np.zeros(len(level_db))
    flux[_FLUX_LAG_FRAMES:] = np.maximum(loud[_FLUX_LAG_FRAMES:] - loud[:-_FLUX_LAG_FRAMES], 0)
    flux *= rising
    for time_s, strength in voice.attacks:
        at = (time_s + late_s) / FRAME_S - _AHEAD_FRAMES + float(rng.uniform(-1.5, 1.5))
        first, last = max(int(at) - 6, 0), max(int(at) + 7, 0)
        flux[first:last] += strength * np.exp(-0.5 * ((frames[first:last] - at) / _ATTACK_FRAMES) ** 2)
    flicker = smooth(rng.exponential(1, len(level_db)), 3) * float(rng.uniform(0.03, 0.14))
    return flux + flicker * np.clip(1 + level_db / 40, 0.2, 1)
