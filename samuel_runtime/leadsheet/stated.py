"""The lead sheet that a user's word makes by itself, without listening to the voice."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.given import Given
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet

_NOTED_S = 1.0  # two exports of one recording differ by less
_SAME_BEAT_S = 1e-6

_LOG = logging.getLogger("samuel")


def sheet_from_given(given: Given, duration_s: float) -> LeadSheet:
    """What is known of a song when nobody listens: what was said.

    A tempo is a constant grid from ``first_beat_s`` (else 0) to the song's end, whose first beat begins a bar. What is
    said beside a sheet replaces that part of it.

    Args:
        given: of the user.
        duration_s: of the recording.

    Raises:
        UserError: the first beat lies outside the song, or chords are to lie on beats that nobody knows.
    """
    sheet = LeadSheet(duration_s) if given.sheet is None else fitted(given.sheet, duration_s)
    if given.key is not None:
        sheet = replace(sheet, key=str(given.key), confidence=replace(sheet.confidence, key=1.0))
    if given.bpm is not None:
        beats_s = tuple(_grid(given.bpm, given.first_beat_s or 0.0, duration_s))
        confidence = replace(sheet.confidence, beats=1.0)
        sheet = replace(sheet, beats_s=beats_s, downbeats_s=(), confidence=confidence)
    meter = given.meter or sheet.meter
    if given.bpm is not None or (given.meter is not None and (meter is not sheet.meter or not sheet.downbeats_s)):
        first = bisect_left(sheet.beats_s, sheet.downbeats_s[0] - _SAME_BEAT_S) if sheet.downbeats_s else 0
        downbeats_s = sheet.beats_s[first :: meter.beats]
        confidence = replace(sheet.confidence, bars=1.0)
        sheet = replace(sheet, meter=meter, downbeats_s=downbeats_s, confidence=confidence)
    if given.chords:
        if len(sheet.beats_s) < 2:
            raise UserError("chords must lie on beats, which are not known here; give `bpm` or `lead_sheet` as well")
        confidence = replace(sheet.confidence, chords=1.0)
        sheet = replace(sheet, chords=tuple(_repeated(given.chords, sheet)), confidence=confidence)
    return sheet


def fitted(sheet: LeadSheet, duration_s: float) -> LeadSheet:
    """The sheet for a recording of this length: a longer one is cut, a shorter one goes on as it is."""
    if sheet.duration_s == duration_s:
        return sheet
    if abs(sheet.duration_s - duration_s) > _NOTED_S:
        what = "is cut" if sheet.duration_s > duration_s else "goes on as it ends"
        _LOG.warning(
            "the lead sheet is for %.1f s and the recording has %.1f s, so it %s", sheet.duration_s, duration_s, what
        )
    beats_s = sheet.beats_s[: bisect_right(sheet.beats_s, duration_s)]
    last_s = beats_s[-1] if beats_s else -1.0
    melody = (note for note in sheet.melody if note.start_s < duration_s)
    return replace(
        sheet,
        duration_s=duration_s,
        beats_s=beats_s,
        downbeats_s=tuple(time_s for time_s in sheet.downbeats_s if time_s <= last_s),
        chords=tuple(chord for chord in sheet.chords if chord.start_s <= duration_s),
        melody=tuple(replace(note, duration_s=min(note.duration_s, duration_s - note.start_s)) for note in melody),
    )


def _grid(bpm: float, first_s: float, duration_s: float) -> Iterator[float]:
    """Times of beats, each by itself, so that no error adds up."""
    if first_s > duration_s:
        raise UserError(f"first_beat_s must lie within the {duration_s:.3f} s of the song; give less than {first_s!r}")
    count = int((duration_s - first_s) * bpm / 60) + 2
    return (time_s for index in range(count) if (time_s := first_s + index * 60 / bpm) <= duration_s)


def _repeated(chords: tuple[tuple[str, int], ...], sheet: LeadSheet) -> Iterator[ChordSpan]:
    """The progression again and again, from the first downbeat to the last beat; every change of chord."""
    beats_s = sheet.beats_s
    downbeats = [bisect_left(beats_s, time_s - _SAME_BEAT_S) for time_s in sheet.downbeats_s]
    place, before = downbeats[0] if downbeats else 0, ""
    for name, beats in cycle(chords):
        if place >= len(beats_s):
            return
        if name != before:
            yield ChordSpan(beats_s[place], name)
        bar = bisect_right(downbeats, place)  # which bar is next
        known = 0 < bar < len(downbeats)
        place += beats or (downbeats[bar] - downbeats[bar - 1] if known else sheet.meter.beats)
        before = name
