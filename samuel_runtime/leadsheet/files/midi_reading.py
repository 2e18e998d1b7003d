"""A lead sheet from MIDI: beats from the tempo map, bars from the time signatures, chords from the markers."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import Any

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.chords import Key, harte
from samuel_runtime.leadsheet.files.midi_writing import FIRST_BAR, FIRST_BEAT, LAST_BAR, LAST_BEAT, MELODY, Timed
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet, Meter, Note

LARGEST_BYTES = 1 << 20
"""Of a file."""
_BEATS_MOST = 100_000
_DEFAULT_TEMPO = 500_000  # of MIDI, microseconds a quarter, until the first tempo
_SHOWN_MOST = 5

_LOG = logging.getLogger("samuel")


def from_midi(content: bytes) -> LeadSheet:
    """Read the lead sheet of a MIDI file, from samuel or from any sequencer.

    Without a time signature nothing is known of bars, and beats are quarters. In a bar of eighths by threes a beat is a
    dotted quarter. A first bar that is too short is an upbeat. The melody is the track of that name.

    Args:
        content: the file, of a size that the caller bounds.

    Raises:
        UserError: it is no MIDI, damaged, has no tempo, or a meter that lead sheets have not.
    """
    tracks, ticks_per_quarter = _parsed(content)
    events = sorted((timed for track in tracks for timed in track), key=lambda timed: timed[0])
    end = max((tick for tick, _ in events), default=0)
    clock = _Clock.of(events, ticks_per_quarter)
    marks = {message.text: tick for tick, message in events if message.type == "text"}
    signatures = [(tick, one.numerator, one.denominator) for tick, one in events if one.type == "time_signature"]
    sections = _sections(signatures, end, ticks_per_quarter)
    beats = _within(_beats(sections), marks.get(FIRST_BEAT), marks.get(LAST_BEAT))
    # What is before the first bar is an upbeat, whose signature may be another meter's and last longer than the rest.
    barred = [section for section in sections if section.end > marks.get(FIRST_BAR, 0)]
    meter = _meter(barred) if signatures else Meter.COMMON
    # samuel says itself where the first bar is.
    bars = sections[_has_upbeat(sections, meter) :] if FIRST_BAR not in marks else sections
    downbeats = _within(_downbeats(bars), marks.get(FIRST_BAR), marks.get(LAST_BAR)) if signatures else []
    known = set(beats)
    keys = [message.key for _, message in events if message.type == "key_signature"]
    return LeadSheet(
        clock.seconds(end),
        meter,
        str(Key.parse(keys[0])) if keys else None,
        tuple(map(clock.seconds, beats)),
        tuple(clock.seconds(tick) for tick in downbeats if tick in known),
        tuple(_chords(events, clock)),
        tuple(_melody(tracks, clock)),
    )


def _parsed(content: bytes) -> tuple[list[list[Timed]], int]:
    """Messages of each track with their ticks, and ticks of a quarter."""
    import mido
    from mido.midifiles.meta import KeySignatureError

    try:
        song = mido.MidiFile(file=BytesIO(content))
    except (EOFError, OSError, ValueError, LookupError, TypeError, KeySignatureError) as error:  # all that it raises
        reason = " ".join(str(error).split()) or "it ends too early"
        raise UserError(f"is no MIDI, or damaged ({reason}); export it again") from error
    if song.type == 2 or song.ticks_per_beat <= 0:
        raise UserError("is MIDI without beats (of type 2, or timed by frames); export it as type 0 or 1")
    tracks = []
    for track in song.tracks:
        tick, timed = 0, []
        for message in track:
            tick += message.time
            timed.append((tick, message))
        tracks.append(timed)
    return tracks, song.ticks_per_beat


@dataclass(frozen=True)
class _Clock:
    """Seconds of ticks."""

    ticks: list[int]
    """Where a tempo begins, from 0."""
    reached: list[int]
    """Time at each, in microseconds a quarter's ticks: whole numbers, so that no error adds up."""
    tempos: list[int]
    """Microseconds of a quarter from there on."""
    ticks_per_quarter: int

    @classmethod
    def of(cls, events: list[Timed], ticks_per_quarter: int) -> _Clock:
        """From the tempo map."""
        changes = {0: _DEFAULT_TEMPO}
        said = {tick: message.tempo for tick, message in events if message.type == "set_tempo"}
        if not said:
            raise UserError("has no tempo, so nobody knows where its beats are; export it with its tempo map")
        changes |= said
        ticks, reached = sorted(changes), [0]
        tempos = [changes[tick] for tick in ticks]
        for (tick, following), tempo in zip(pairwise(ticks), tempos, strict=False):
            reached.append(reached[-1] + (following - tick) * tempo)
        return cls(ticks, reached, tempos, ticks_per_quarter)

    def seconds(self, tick: float) -> float:
        """Of a tick."""
        place = bisect_right(self.ticks, tick) - 1
        reached = self.reached[place] + (tick - self.ticks[place]) * self.tempos[place]
        return reached / (1_000_000 * self.ticks_per_quarter)


@dataclass(frozen=True)
class _Section:
    """Ticks of one time signature."""

    start: int
    end: int
    numerator: int
    denominator: int
    beat: float
    """Ticks."""
    bar_beats: int

    @property
    def beats(self) -> int:
        """How many begin in it; one that the next section cuts to less than half does not count."""
        return max(1, round((self.end - self.start) / self.beat))


def _sections(signatures: list[tuple[int, int, int]], end: int, ticks_per_quarter: int) -> list[_Section]:
    """From the beginning to the end of the song."""
    changes = {0: (4, 4), **{tick: (numerator, denominator) for tick, numerator, denominator in signatures}}
    sections, beats = [], 0
    for start, following in pairwise([*sorted(changes), end + 1]):
        numerator, denominator = changes[start]
        by_threes = denominator == 8 and numerator % 3 == 0
        beat = ticks_per_quarter * (12 if by_threes else 4) / denominator
        bar_beats = max(1, numerator // 3 if by_threes else numerator)
        section = _Section(start, following, numerator, denominator, beat, bar_beats)
        beats += section.beats
        if beats > _BEATS_MOST:
            raise UserError(f"has more than {_BEATS_MOST} beats; give a MIDI file of one song")
        sections.append(section)
    return sections


def _beats(sections: list[_Section]) -> Iterator[float]:
    end = sections[-1].end
    for section in sections:
        ticks = (section.start + index * section.beat for index in range(section.beats + 1))
        yield from (tick for tick in ticks if tick < min(section.end, end))


def _has_upbeat(sections: list[_Section], meter: Meter) -> bool:
    """Whether the first bar is a part of one, with a signature of its own."""
    first = sections[0]
    return len(sections) > 1 and first.beats == first.bar_beats < meter.beats


def _downbeats(sections: list[_Section]) -> Iterator[float]:
    for section in sections:
        ticks = (section.start + index * section.beat for index in range(0, section.beats + 1, section.bar_beats))
        yield from (tick for tick in ticks if tick < section.end)


def _within(ticks: Iterator[float], first: int | None, last: int | None) -> list[float]:
    """What lies between two marks, where they are."""
    return [tick for tick in ticks if (first is None or tick >= first) and (last is None or tick <= last)]


def _meter(sections: list[_Section]) -> Meter:
    """The one that lasts longest among those that lead sheets have."""
    lasting: dict[str, int] = {}
    for section in sections:
        name = f"{section.numerator}/{section.denominator}"
        lasting[name] = lasting.get(name, 0) + section.end - section.start
    known = [meter for meter in Meter if meter.value in lasting]
    if not known:
        raise UserError(
            f"its time signature is {max(lasting, key=lasting.__getitem__)}; "
            f"give a song in {', '.join(meter.value for meter in Meter)}"
        )
    return max(known, key=lambda meter: lasting[meter.value])


def _chords(events: list[Timed], clock: _Clock) -> Iterator[ChordSpan]:
    """Markers that name chords; the last of those on one tick."""
    named, others = {}, []
    for tick, message in events:
        if message.type == "marker":
            try:
                named[tick] = harte(message.text.strip())
            except UserError:
                others.append(message.text.strip())
    if others:
        shown = ", ".join(map(repr, others[:_SHOWN_MOST])) + ", ..." * (len(others) > _SHOWN_MOST)
        _LOG.warning("markers that name no chord were left out: %s", shown)
    return (ChordSpan(clock.seconds(tick), name) for tick, name in named.items())


def _melody(tracks: list[list[Timed]], clock: _Clock) -> Iterator[Note]:
    """Notes of the track of that name, of those that begin together the highest."""
    starts: dict[int, tuple[int, int]] = {}  # tick -> end and number
    for track in tracks:
        if not any(_names_melody(message) for _, message in track):
            continue
        sounding: dict[int, int] = {}
        for tick, message in track:
            if message.type not in ("note_on", "note_off"):
                continue
            start = sounding.pop(message.note, None)
            if start is not None and (start not in starts or starts[start][1] < message.note):
                starts[start] = (tick, message.note)
            if message.type == "note_on" and message.velocity > 0:
                sounding[message.note] = tick
    for start, (end, number) in sorted(starts.items()):
        start_s = clock.seconds(start)
        yield Note(start_s, clock.seconds(end) - start_s, float(number))


def _names_melody(message: Any) -> bool:
    return message.type == "track_name" and message.name.strip().lower() == MELODY
