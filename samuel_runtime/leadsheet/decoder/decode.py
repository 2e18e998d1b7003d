"""From activations to a lead sheet: beats first, then key and chords on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.activations import FRAME_S, Activations
from samuel_runtime.leadsheet.chords import Chord, Key
from samuel_runtime.leadsheet.decoder.beats import likeliest_beats
from samuel_runtime.leadsheet.decoder.chords import (
    BY_FRAME,
    ON_BEATS,
    Spans,
    Weights,
    beats_a_span,
    best_chords,
    chords_heard,
    emissions,
    key_probabilities,
    root_confidences,
    spans,
)
from samuel_runtime.leadsheet.decoder.grid import BeatGrid, bar_positions, constant_grid
from samuel_runtime.leadsheet.decoder.harmony import KEYS, TONES, VOCABULARY
from samuel_runtime.leadsheet.decoder.refinement import refined
from samuel_runtime.leadsheet.decoder.repetition import with_repetitions
from samuel_runtime.leadsheet.decoder.scores import HEARD, BeatScores, beat_scores, near_maximum
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.leadsheet.sheet import ChordSpan, Confidence, LeadSheet, Meter

_KNOWN_BEAT = 6.0  # nats for a beat where the user says that one is
_BEATS_LEAST = 2  # that have a distance
_CERTAIN = 6.0  # nats for a chord that the user has written


OnBeats = Callable[[BeatGrid, Activations], Activations]
"""What the chords' estimator says where the beats are known, in the place of what is known without them."""


def decode(
    activations: Activations, duration_s: float, given: Given | None = None, on_beats: OnBeats | None = None
) -> LeadSheet:
    """Write down a song.

    Beats are found if activations at them stand out of all others by ``HEARD``, else there are none, nor chords that
    need them; chords are found if activations prefer some pitch classes to others.

    Args:
        activations: of the whole song.
        duration_s: of the recording; frames beyond it are left out, missing ones are silent.
        given: constraints, which hold as they are; single ones prevail over ``given.sheet``.
        on_beats: hears chords and key better on the beats that are found; None leaves them as they are.

    Raises:
        UserError: there are chords to be repeated by bars, and no beats.
    """
    given = given or Given()
    activations = _cut(activations, duration_s)
    grid, weights = _beats(activations, duration_s, given), BY_FRAME
    if on_beats is not None and len(grid.beats_s) >= _BEATS_LEAST:
        activations, weights = on_beats(grid, activations), ON_BEATS
    sheet = LeadSheet(
        duration_s,
        grid.meter,
        beats_s=tuple(grid.beats_s.tolist()),
        downbeats_s=tuple(grid.beats_s[grid.downbeats].tolist()),
        melody=given.sheet.melody if given.sheet else (),
        confidence=Confidence(grid.confidence, grid.bars_confidence, 0.0, 0.0),
    )
    return _with_harmony(sheet, grid, activations, weights, given)


def _beats(activations: Activations, duration_s: float, given: Given) -> BeatGrid:
    """Beats as given, or on a click, or found; then bars on them unless found or given with them."""
    scores = beat_scores(activations)
    meters = [given.meter] if given.meter else list(Meter)
    sheet = given.sheet
    if given.bpm is None and sheet is not None and sheet.beats_s:
        beats_s = np.array(sheet.beats_s)
        if sheet.downbeats_s and given.meter in (None, sheet.meter):
            downbeats = np.abs(beats_s[:, None] - np.array(sheet.downbeats_s)).min(axis=1) <= 1e-6
            return BeatGrid(sheet.meter, beats_s, downbeats, 1.0, 1.0)
        positions, meter = bar_positions(beats_s, scores, meters)
        return BeatGrid(meter, beats_s, positions == 0, 1.0, _bars_confidence(scores, beats_s, positions))
    if given.bpm is not None:
        beats_s = constant_grid(given.bpm, given.first_beat_s, scores, duration_s)
        positions, meter = bar_positions(beats_s, scores, meters)
        sure = 1.0 if given.first_beat_s is not None else _confidence(scores, beats_s)
        return BeatGrid(meter, beats_s, positions == 0, sure, _bars_confidence(scores, beats_s, positions))
    known_s = np.array([chord.start_s for chord in sheet.chords] if sheet else [], np.float64)
    if given.first_beat_s is not None:
        known_s = np.append(known_s, given.first_beat_s)
    known_s = known_s[(known_s > 0) & (known_s < duration_s)]  # the first chord begins with the file, on no beat
    known = (known_s / FRAME_S).astype(int)
    scores.beat[known] += _KNOWN_BEAT
    path = likeliest_beats(scores, meters)
    beats_s = refined(path.times_s, scores.activation, known_s)
    inside = (beats_s >= 0) & (beats_s < duration_s)
    beats_s, positions = beats_s[inside], path.positions[inside]
    if len(beats_s) < _BEATS_LEAST or (not len(known) and not _beats_heard(scores, beats_s)):
        return BeatGrid(given.meter or Meter.COMMON, np.zeros(0), np.zeros(0, bool), 0.0, 0.0)
    return BeatGrid(
        path.meter,
        beats_s,
        positions == 0,
        _confidence(scores, beats_s),
        _bars_confidence(scores, beats_s, positions),
    )


def _with_harmony(
    sheet: LeadSheet, grid: BeatGrid, activations: Activations, weights: Weights, given: Given
) -> LeadSheet:
    """Chords as given, or repeated, or found; the key given, or the one that they and the activations are in."""
    key_name = str(given.key) if given.key else given.sheet.key if given.sheet else None
    written: tuple[ChordSpan, ...] = ()
    if given.chords:
        written = _repeated(given.chords, grid)
    elif given.sheet is not None:
        written = given.sheet.chords
    heard = chords_heard(activations) and len(grid.beats_s) > 0
    if not heard and not written:
        return replace(sheet, key=key_name, confidence=replace(sheet.confidence, key=1.0 if key_name else 0.0))
    where = _spans_of(written, sheet.duration_s) if written else _from_the_start(grid, sheet)
    likely = _as_written(written) if written else emissions(activations, where, weights)
    sure_of_key = 1.0
    if key_name is None:
        probabilities = key_probabilities(activations, likely)
        key_name, sure_of_key = str(KEYS[int(probabilities.argmax())]), float(probabilities.max())
    sure_of_chords = 1.0
    if not written:
        key = Key.parse(key_name)
        told = with_repetitions(likely, grid.meter.beats // beats_a_span(grid.meter), key)
        path = best_chords(told, where.opens_bar, key, weights.trust)
        sure = root_confidences(activations, where, path)
        written = _merged(where, path, sure, key)
        sure_of_chords = float(np.average(sure, weights=np.maximum(where.ends_s - where.starts_s, 1e-6)))
    confidence = replace(sheet.confidence, key=sure_of_key, chords=sure_of_chords)
    return replace(sheet, key=key_name, chords=written, confidence=confidence)


def _from_the_start(grid: BeatGrid, sheet: LeadSheet) -> Spans:
    """Spans of which the first begins with the song, if that is less than a beat before."""
    where = spans(grid.beats_s, grid.downbeats, grid.meter, sheet.duration_s)
    if where.starts_s[0] <= 60 / (sheet.tempo_bpm or 60):
        where.starts_s[0] = 0.0
    return where


def _spans_of(written: tuple[ChordSpan, ...], duration_s: float) -> Spans:
    starts_s = np.array([chord.start_s for chord in written])
    return Spans(starts_s, np.append(starts_s[1:], duration_s), np.ones(len(written), bool))


def _as_written(written: tuple[ChordSpan, ...]) -> np.ndarray:
    """(chords written, vocabulary) log-likelihoods: of chords with the same root, those with the same tones."""
    likely = np.zeros((len(written), len(VOCABULARY)))
    for index, span in enumerate(written):
        chord = Chord.parse(span.name)
        if chord.root is not None:
            tones = np.isin(np.arange(12), chord.pitch_classes)
            likely[index] = -np.abs(TONES - tones).sum(axis=1)
            likely[index, [root != chord.root for root, _ in VOCABULARY]] -= _CERTAIN
    return likely


def _repeated(cycle: tuple[tuple[str, int], ...], grid: BeatGrid) -> tuple[ChordSpan, ...]:
    """The chords laid on the beats, from the first downbeat to the end.

    Raises:
        UserError: there are no beats.
    """
    if not len(grid.beats_s):
        raise UserError("chords: no beat is heard to lay them on; give the tempo with them (bpm)")
    bar_lines = np.flatnonzero(grid.downbeats)
    place = int(bar_lines[0]) if len(bar_lines) else 0
    written: list[ChordSpan] = []
    turn = 0
    while place < len(grid.beats_s):
        name, beats = cycle[turn % len(cycle)]
        if not written or written[-1].name != name:
            written.append(ChordSpan(float(grid.beats_s[place]), name))
        following = bar_lines[bar_lines > place]
        bar = int(following[0]) - place if len(following) else grid.meter.beats
        place += beats if beats > 0 else bar
        turn += 1
    return tuple(written)


def _merged(where: Spans, path: list[int], sure: np.ndarray, key: Key) -> tuple[ChordSpan, ...]:
    """Changes of chord only, each as sure as its spans are on average."""
    changes = [index for index, chord in enumerate(path) if index == 0 or chord != path[index - 1]]
    return tuple(
        ChordSpan(
            float(where.starts_s[start]),
            Chord(*VOCABULARY[path[start]]).named(key),
            min(1.0, float(sure[start:end].mean())),
        )
        for start, end in zip(changes, [*changes[1:], len(path)], strict=True)
    )


def _cut(activations: Activations, duration_s: float) -> Activations:
    """Exactly the song's frames, one at least, and no values but probabilities."""
    frames = max(1, int(np.ceil(duration_s / FRAME_S)))

    def fitted(values: np.ndarray) -> np.ndarray:
        values = np.clip(np.nan_to_num(values[:frames], nan=0.0), 0, 1)
        return np.pad(values, [(0, frames - len(values)), *[(0, 0)] * (values.ndim - 1)])

    return Activations(
        fitted(activations.beat),
        fitted(activations.downbeat),
        fitted(activations.tones),
        fitted(activations.root),
        fitted(activations.key),
    )


def _beats_heard(scores: BeatScores, beats_s: np.ndarray) -> bool:
    return bool(near_maximum(scores.activation, beats_s).mean() - scores.activation.mean() >= HEARD)


def _confidence(scores: BeatScores, beats_s: np.ndarray) -> float:
    """Mean activation at beats, those in rests left out."""
    if not len(beats_s):
        return 0.0
    heard = near_maximum(scores.activation, beats_s)
    sung = near_maximum(scores.activation, beats_s, round(1.0 / FRAME_S)) >= HEARD
    return float(heard[sung].mean()) if sung.any() else 0.0


def _bars_confidence(scores: BeatScores, beats_s: np.ndarray, positions: np.ndarray) -> float:
    """Share of the likelihood that bars begin where they do, a beat, against any other place in the bar."""
    if not len(beats_s):
        return 0.0
    frames = np.clip((beats_s / FRAME_S).astype(int), 0, len(scores.bar) - 1)
    gain = scores.bar[frames]
    by_shift = np.array([gain[positions == shift].mean() for shift in np.unique(positions)])
    odds = np.exp(by_shift - by_shift.max())
    return float(odds[0] / odds.sum())
