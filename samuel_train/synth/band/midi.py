"""A score as a Standard MIDI File, cut to an excerpt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from samuel_train.synth.band.levels import trim_db
from samuel_train.synth.compose.score import Hit, Track

if TYPE_CHECKING:
    import mido

PREROLL_S = 3.0
"""The file begins this long before the excerpt, so that notes held into it sound."""
_TICKS_PER_BEAT = 960
_BEAT_US = 500_000
_TICKS_PER_S = _TICKS_PER_BEAT * 1_000_000 // _BEAT_US
_DRUM_CHANNEL = 9
_VOLUME, _PAN, _REVERB = 7, 10, 91
_VOLUME_AT_0_DB = 84
_SHORTEST_S = 0.03


def write_midi(path: Path, tracks: Sequence[Track], duration_s: float) -> None:
    """Write what sounds from ``PREROLL_S`` before the excerpt to its end, every track on its own channel."""
    import mido

    song = mido.MidiFile(ticks_per_beat=_TICKS_PER_BEAT)
    channels = iter(channel for channel in range(16) if channel != _DRUM_CHANNEL)
    for track in tracks:
        channel = _DRUM_CHANNEL if track.drums else next(channels)
        song.tracks.append(mido.MidiTrack(_in_time(list(_messages(track, channel, duration_s)))))
    song.save(path)


def _messages(track: Track, channel: int, duration_s: float) -> Iterator[tuple[int, mido.Message]]:
    """(tick, message), in no particular order."""
    import mido

    # General MIDI: the amplitude is the square of the controller's share.
    volume = _VOLUME_AT_0_DB * 10 ** ((track.gain_db + trim_db(track.program, track.drums)) / 40)
    controls = ((_VOLUME, volume), (_PAN, 64 + 63 * track.place), (_REVERB, 127 * track.room))
    for control, value in controls:
        yield 0, mido.Message("control_change", channel=channel, control=control, value=_seven_bits(value))
    yield 0, mido.Message("program_change", channel=channel, program=track.program)
    for hit in _without_overlaps(track.hits):
        stop_s = min(hit.start_s + hit.duration_s, duration_s) + PREROLL_S
        start_s = max(hit.start_s + PREROLL_S, 0.0)
        if hit.start_s >= duration_s or stop_s - start_s < _SHORTEST_S / 2:
            continue
        velocity = max(_seven_bits(30 + 85 * hit.loudness), 1)
        yield round(start_s * _TICKS_PER_S), mido.Message("note_on", channel=channel, note=hit.midi, velocity=velocity)
        yield round(stop_s * _TICKS_PER_S), mido.Message("note_off", channel=channel, note=hit.midi, velocity=0)
    yield round((duration_s + PREROLL_S) * _TICKS_PER_S), mido.Message("note_off", channel=channel, note=0, velocity=0)


def _without_overlaps(hits: Sequence[Hit]) -> Iterator[Hit]:
    """The hits in time, each held at most until the next one of its pitch: a channel cannot hold one twice."""
    following: dict[int, float] = {}
    latest_first = sorted(hits, key=lambda hit: (hit.start_s, hit.midi), reverse=True)
    for hit in latest_first:
        until_s = following.get(hit.midi, float("inf")) - 0.005
        following[hit.midi] = hit.start_s
        held_s = max(min(hit.duration_s, until_s - hit.start_s), _SHORTEST_S)
        yield Hit(hit.start_s, held_s, hit.midi, hit.loudness)


def _seven_bits(value: float) -> int:
    return min(max(round(value), 0), 127)


def _in_time(messages: list[tuple[int, mido.Message]]) -> list[mido.Message]:
    """Messages with their waits; at one tick controls come first, and notes end before others begin."""
    order = {"control_change": 0, "program_change": 1, "note_off": 2, "note_on": 3}
    messages.sort(key=lambda entry: (entry[0], order[entry[1].type], getattr(entry[1], "note", 0)))
    before = 0
    timed = []
    for tick, message in messages:
        timed.append(message.copy(time=tick - before))
        before = tick
    return timed
