"""A score as somebody may sing it, without a sound."""

from __future__ import annotations

import numpy as np

from samuel_runtime.leadsheet import ChordSpan, LeadSheet
from samuel_train.listen.songs.sung_sheet import SungSheet, drawn_warp, warped
from samuel_train.synth.compose.phrasing import Performed, perform_note
from samuel_train.synth.scores.musicxml import LEAST_NOTES, REST_QUARTERS, Score
from samuel_train.synth.voice.singer import draw_singer

_SWING = 0.25  # share of performances of a score in quarters


def sung_score(rng: np.random.Generator, score: Score, duration_s: float) -> SungSheet | None:
    """An excerpt of a score at some tempo by some singer; None if hardly anybody sings in it."""
    quarter_s = 60 / float(rng.uniform(*score.tempo_bpm)) / score.beat_quarters
    swings = score.beat_quarters == 1 and rng.random() < _SWING
    first = float(rng.uniform(0, max(0.0, score.quarters - duration_s / quarter_s)))

    def time_s(quarter: float) -> float:
        if swings:
            beat, inside = divmod(quarter, 1)
            quarter = beat + (inside * 4 / 3 if inside < 0.5 else 2 / 3 + (inside - 0.5) * 2 / 3)
        return (quarter - first) * quarter_s

    def within(times: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(at_s for at_s in map(time_s, times) if 0 <= at_s < end_s)

    end_s = min(duration_s, time_s(score.quarters))
    sheet = LeadSheet(
        duration_s=end_s,
        meter=score.meter,
        key=score.key,
        beats_s=within(score.beats),
        downbeats_s=within(score.downbeats),
        chords=_chords_from([(time_s(at), name) for at, name in score.chords], end_s),
    )
    singer = draw_singer(rng)
    middle = float(np.median([midi for _, _, midi in score.notes]))
    octaves = 12 * round(((singer.lowest + singer.highest) / 2 - middle) / 12)
    notes: list[Performed] = []
    ends = [-np.inf, *(end for _, end, _ in score.notes)]
    starts = [*(start for start, _, _ in score.notes), np.inf]
    for index, (start, end, midi) in enumerate(score.notes):
        if time_s(end) < 0.05 or time_s(start) > end_s - 0.1:
            continue
        opens = start - ends[index] > REST_QUARTERS or not notes
        accent = (1.0 if (start / score.beat_quarters).is_integer() else 0.86, 0.95)
        notes.append(
            perform_note(rng, singer, midi + octaves, time_s(start), time_s(end), accent=accent,
                         opens_phrase=opens, closes_phrase=starts[index + 1] - end > REST_QUARTERS)
        )  # fmt: skip
    if len(notes) < LEAST_NOTES // 2:
        return None
    return warped(SungSheet(sheet, singer, tuple(notes)), drawn_warp(rng, 1.0))


def _chords_from(timed: list[tuple[float, str]], end_s: float) -> tuple[ChordSpan, ...]:
    """Chords within an excerpt, of which the first may have begun before."""
    sounding = [name for at_s, name in timed if at_s <= 0]
    begun = [(0.0, sounding[-1])] if sounding else []
    return tuple(ChordSpan(at_s, name) for at_s, name in begun + [each for each in timed if 0 < each[0] < end_s])
