"""A lead sheet as MIDI: tempo map, time signatures, key, chord names as markers, a melody and block chords.

Every beat falls on its tick: tempos are microseconds between beats, rounded so that no error adds up. What MIDI has no
word for is text on the first track, which other software leaves alone: where known beats and bars begin and end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.chords import Chord, Key, spelled, symbol
from samuel_runtime.leadsheet.sheet import LeadSheet, Meter

if TYPE_CHECKING:
    import mido

TICKS_PER_QUARTER = 960
FIRST_BEAT, LAST_BEAT, FIRST_BAR, LAST_BAR = (
    f"samuel: {which} {what}" for what in ("beat", "bar") for which in ("first", "last")
)
MELODY, CHORDS = "melody", "chords"
"""Names of tracks."""

_LONGEST_BEAT_S = 16.0  # a tempo has 24 bits of microseconds
_SHORTEST_BEAT_S = 0.02
_AT_ONCE_S = 0.0005
_LEAD_BEATS_MOST = 1000
_BAR_BEATS_MOST = 80  # of 255 eighths
_LONGEST_PAUSE_TICKS = (1 << 28) - 1
_SAME_BEAT_S = 1e-6
_LOWEST_ROOT, _LOWEST_BASS = 48, 36
_VELOCITY = 80

Timed = tuple[int, Any]
"""Tick from the beginning, and a message of mido's."""


def beat_ticks(meter: Meter) -> int:
    """Ticks of a beat: a quarter's, in 6/8 a dotted quarter's."""
    return TICKS_PER_QUARTER * 3 // 2 if meter is Meter.SIX_EIGHT else TICKS_PER_QUARTER


def to_midi(sheet: LeadSheet) -> bytes:
    """The file, of type 1.

    Raises:
        UserError: the sheet has fewer than two beats, or such as no MIDI tempo reaches.
    """
    import mido  # a tenth of a second that only MIDI needs

    _check(sheet)
    clock = _Clock(sheet)
    song = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER)
    song.tracks.append(_track(_conductor(sheet, clock)))
    if sheet.melody:
        song.tracks.append(_track(_melody(sheet, clock), MELODY))
    if any(Chord.parse(chord.name).root is not None for chord in sheet.chords):
        song.tracks.append(_track(_block_chords(sheet, clock), CHORDS))
    content = BytesIO()
    song.save(file=content)
    return content.getvalue()


class _Clock:
    """Ticks of times: the beats' on their grid, others between them."""

    def __init__(self, sheet: LeadSheet) -> None:
        beats_s = sheet.beats_s
        self.beat = beat_ticks(sheet.meter) if sheet.downbeats_s else TICKS_PER_QUARTER
        usual = round(beats_s[0] / (beats_s[1] - beats_s[0]))
        longest = int(beats_s[0] / _LONGEST_BEAT_S) + 1
        self.lead_beats = 0 if beats_s[0] < _AT_ONCE_S else max(longest, min(usual, _LEAD_BEATS_MOST))
        """Before the first known beat, evenly."""
        first = self.lead_beats * self.beat
        self.points = [(0, 0.0)] if self.lead_beats else []
        self.points += [(first + index * self.beat, time_s) for index, time_s in enumerate(beats_s)]
        self._times_s = [time_s for _, time_s in self.points]
        self._end_s = sheet.duration_s

    def tick(self, time_s: float) -> int:
        """Of a time; before the first and after the last point the tempo goes on."""
        place = min(max(bisect_left(self._times_s, time_s), 1), len(self.points) - 1)
        (tick, from_s), (next_tick, to_s) = self.points[place - 1 : place + 1]
        return max(0, round(tick + (time_s - from_s) / (to_s - from_s) * (next_tick - tick)))

    def tempos(self) -> Iterator[tuple[int, int]]:
        """Tick and microseconds a quarter, where they change."""
        reached_us, before = 0.0, 0
        for (tick, _), (next_tick, to_s) in pairwise(self.points):
            quarters = (next_tick - tick) / TICKS_PER_QUARTER
            # A lead-in is one interval of many beats; all others are one beat.
            tempo = max(1, round((to_s * 1e6 - reached_us) / quarters))
            reached_us += tempo * quarters
            if tempo != before:
                yield tick, tempo
            before = tempo
        # The last beat made good for what the lead-in's tempo rounds; at its tempo that would add up to the end.
        tick = self.points[-1][0]
        quarters = (self.tick(self._end_s) - tick) / TICKS_PER_QUARTER
        left_us = self._end_s * 1e6 - reached_us
        if quarters >= 1 and abs(left_us - before * quarters) > _AT_ONCE_S * 1e6:
            yield tick, round(left_us / quarters)


def _check(sheet: LeadSheet) -> None:
    if len(sheet.beats_s) < 2:
        raise UserError("MIDI needs beats, which are not known of this song; give `bpm` or `lead_sheet`")
    for start_s, end_s in pairwise(sheet.beats_s):
        if not _SHORTEST_BEAT_S <= end_s - start_s <= _LONGEST_BEAT_S:
            raise UserError(
                f"MIDI has no tempo for the beat from {start_s:.3f} to {end_s:.3f} s; move it, or use JSON instead"
            )


def _conductor(sheet: LeadSheet, clock: _Clock) -> Iterator[Timed]:
    """What belongs to the whole song."""
    from mido import MetaMessage

    for tick, tempo in clock.tempos():
        yield tick, MetaMessage("set_tempo", tempo=tempo)
    if sheet.key is not None:
        yield 0, MetaMessage("key_signature", key=_key_signature(Key.parse(sheet.key)))
    for tick, beats in _bars(sheet, clock):
        numerator, denominator = (3 * beats, 8) if sheet.meter is Meter.SIX_EIGHT else (beats, 4)
        clicks = 36 if sheet.meter is Meter.SIX_EIGHT else 24
        yield tick, MetaMessage("time_signature", numerator=numerator, denominator=denominator, clocks_per_click=clicks)
    for first, last, times_s in ((FIRST_BEAT, LAST_BEAT, sheet.beats_s), (FIRST_BAR, LAST_BAR, sheet.downbeats_s)):
        for text, time_s in ((first, times_s[:1]), (last, times_s[-1:])):
            yield from ((clock.tick(one_s), MetaMessage("text", text=text)) for one_s in time_s)
    for chord in sheet.chords:
        yield clock.tick(chord.start_s), MetaMessage("marker", text=symbol(chord.name))
    yield clock.tick(sheet.duration_s), MetaMessage("end_of_track")


def _bars(sheet: LeadSheet, clock: _Clock) -> Iterator[tuple[int, int]]:
    """Tick and beats of a bar, where they change; none where bars are not known."""
    if not sheet.downbeats_s:
        return
    beats, before = sheet.meter.beats, 0
    starts = [clock.lead_beats + bisect_left(sheet.beats_s, time_s - _SAME_BEAT_S) for time_s in sheet.downbeats_s]
    upbeat = starts[0] % beats
    bars = [(0, upbeat)] if upbeat else []
    bars += [(upbeat, beats)] if starts[0] > upbeat else []
    bars += [(first, end - first) for first, end in pairwise(starts)]
    for first, length in [*bars, (starts[-1], beats)]:
        if length > _BAR_BEATS_MOST:
            raise UserError(f"MIDI has no bar of {length} beats; add downbeats, or use JSON instead")
        if length != before:
            yield first * clock.beat, length
        before = length


def _melody(sheet: LeadSheet, clock: _Clock) -> Iterator[Timed]:
    """Notes to the nearest semitone, one at a time."""
    ends_s = [*(note.start_s for note in sheet.melody[1:]), sheet.duration_s]
    for note, next_s in zip(sheet.melody, ends_s, strict=True):
        start, end = clock.tick(note.start_s), clock.tick(min(note.start_s + note.duration_s, next_s))
        yield from _note(0, round(note.midi), start, max(end, start + 1))


def _block_chords(sheet: LeadSheet, clock: _Clock) -> Iterator[Timed]:
    """Root position above the bass."""
    ends_s = [*(chord.start_s for chord in sheet.chords[1:]), sheet.duration_s]
    for span, end_s in zip(sheet.chords, ends_s, strict=True):
        chord = Chord.parse(span.name)
        start, end = clock.tick(span.start_s), clock.tick(end_s)
        if chord.root is None or end <= start:
            continue
        root = _LOWEST_ROOT + chord.root
        above = {root + (tone - chord.root) % 12 for tone in chord.pitch_classes}
        for number in sorted({_LOWEST_BASS + (chord.root if chord.bass is None else chord.bass), *above}):
            yield from _note(1, number, start, end)


def _note(channel: int, number: int, start: int, end: int) -> Iterator[Timed]:
    from mido import Message

    yield start, Message("note_on", channel=channel, note=number, velocity=_VELOCITY)
    yield end, Message("note_off", channel=channel, note=number, velocity=0)


def _track(messages: Iterable[Timed], name: str | None = None) -> mido.MidiTrack:
    """Messages in time; where notes meet, the one that ends comes first."""
    import mido

    order = {"end_of_track": 2, "note_on": 1}
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)] if name else [])
    before = 0
    for tick, message in sorted(messages, key=lambda timed: (timed[0], order.get(timed[1].type, 0))):
        if tick - before > _LONGEST_PAUSE_TICKS:
            raise UserError("MIDI has no such long pause among such short beats; use JSON instead")
        track.append(message.copy(time=tick - before))
        before = tick
    return track


def _key_signature(key: Key) -> str:
    """As mido names it."""
    return spelled(key.tonic, key) + "m" * key.minor
