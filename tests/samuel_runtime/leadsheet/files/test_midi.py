"""Lead sheets as MIDI: what is written, and what is made of files from elsewhere."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from pathlib import Path

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.files import read_sheet, write_sheet
from samuel_runtime.leadsheet.files.midi_reading import from_midi
from samuel_runtime.leadsheet.files.midi_writing import to_midi
from samuel_runtime.leadsheet.sheet import ChordSpan, LeadSheet, Meter, Note
from tests.support.runtime.lead_sheets import a_sheet, sheets

MILLISECOND = 0.001


def written(*messages: tuple[str, dict[str, object]], ticks: int = 480, kind: int = 1) -> bytes:
    """A file of one track; ``time`` of a message is its delta in ticks."""
    song = mido.MidiFile(type=kind, ticks_per_beat=ticks)
    song.tracks.append(mido.MidiTrack(mido.MetaMessage(name, **values) for name, values in messages))
    content = BytesIO()
    song.save(file=content)
    return content.getvalue()


TEMPO = ("set_tempo", {"tempo": 500_000})
END = ("end_of_track", {"time": 480 * 8})


@given(sheet=sheets(beats_least=2))
def test_beats_bars_chords_and_key_come_back(sheet: LeadSheet) -> None:
    back = from_midi(to_midi(sheet))
    assert back.beats_s == pytest.approx(sheet.beats_s, abs=MILLISECOND)
    assert back.downbeats_s == pytest.approx(sheet.downbeats_s, abs=MILLISECOND)
    assert back.key == sheet.key
    assert back.duration_s == pytest.approx(sheet.duration_s, abs=2 * MILLISECOND)
    assert [chord.name for chord in back.chords] == [chord.name for chord in sheet.chords]
    starts_s = [chord.start_s for chord in sheet.chords]
    assert [chord.start_s for chord in back.chords] == pytest.approx(starts_s, abs=MILLISECOND)
    if sheet.downbeats_s:
        assert back.meter is sheet.meter


def test_an_upbeat_that_lasts_longer_than_the_bars_is_not_the_meter() -> None:
    sheet = LeadSheet(5.0, Meter.COMMON, None, (0.0, 1.0, 2.0, 3.0), (3.0,))
    back = from_midi(to_midi(sheet))
    assert back.meter is Meter.COMMON and back.downbeats_s == pytest.approx((3.0,))


def test_what_a_lead_in_rounds_added_up_after_the_last_beat() -> None:
    sheet = LeadSheet(28.1015625, beats_s=(26.0, 26.1015625))
    assert from_midi(to_midi(sheet)).duration_s == pytest.approx(28.1015625, abs=MILLISECOND)


def test_no_error_adds_up_over_a_long_song() -> None:
    beats_s = tuple(index * 60 / 91.7 for index in range(5000))
    back = from_midi(to_midi(LeadSheet(3300.0, beats_s=beats_s)))
    assert max(abs(a - b) for a, b in zip(back.beats_s, beats_s, strict=True)) < 1e-5


def test_every_beat_falls_on_its_tick() -> None:
    song = mido.MidiFile(file=BytesIO(to_midi(a_sheet())))
    tempos = [message for message in song.tracks[0] if message.type == "set_tempo"]
    assert [message.tempo for message in tempos] == [300_000, 500_000]  # the lead-in is one beat
    signatures = [message for message in song.tracks[0] if message.type == "time_signature"]
    assert [(message.numerator, message.denominator) for message in signatures] == [(1, 4), (4, 4)]


def test_an_irregular_bar_is_one() -> None:
    beats_s = tuple(0.5 * index for index in range(14))
    sheet = LeadSheet(7.0, Meter.COMMON, None, beats_s, (0.0, 2.0, 4.5, 6.5))
    assert from_midi(to_midi(sheet)).downbeats_s == pytest.approx(sheet.downbeats_s)


def test_the_melody_is_a_track_and_so_are_the_chords() -> None:
    sheet = LeadSheet(
        4.0, beats_s=(0.0, 1.0), chords=(ChordSpan(0.0, "C:maj/3"),),
        melody=(Note(0.5, 0.75, 69.2), Note(1.5, 9.0, 71.0)),
    )  # fmt: skip
    content = to_midi(sheet)
    names = [message.name for track in mido.MidiFile(file=BytesIO(content)).tracks for message in track
             if message.type == "track_name"]  # fmt: skip
    assert names == ["melody", "chords"]
    sounding = {message.note for message in mido.MidiFile(file=BytesIO(content)).tracks[2] if message.type == "note_on"}
    assert sounding == {40, 48, 52, 55}
    assert from_midi(content).melody == (Note(0.5, 0.75, 69.0), Note(1.5, 2.5, 71.0))


def test_a_file_from_elsewhere() -> None:
    content = written(
        TEMPO,
        ("key_signature", {"key": "Bb"}),
        ("time_signature", {"numerator": 1, "denominator": 4}),
        ("marker", {"text": "Verse"}),
        ("time_signature", {"numerator": 3, "denominator": 4, "time": 480}),
        ("marker", {"text": " Bbmaj7 "}),
        ("set_tempo", {"tempo": 1_000_000, "time": 480 * 3}),
        ("end_of_track", {"time": 480 * 3}),
    )
    sheet = from_midi(content)
    assert sheet.beats_s == (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
    assert sheet.downbeats_s == (0.5, 2.0, 5.0)  # the first bar is an upbeat
    assert (sheet.meter, sheet.key, sheet.duration_s) == (Meter.WALTZ, "Bb major", 5.0)
    assert sheet.chords == (ChordSpan(0.5, "Bb:maj7"),)


def test_six_eight_has_two_beats() -> None:
    signature = ("time_signature", {"numerator": 6, "denominator": 8})
    sheet = from_midi(written(TEMPO, signature, ("end_of_track", {"time": 480 * 5})))
    assert sheet.beats_s == (0.0, 0.75, 1.5, 2.25)
    assert (sheet.meter, sheet.downbeats_s) == (Meter.SIX_EIGHT, (0.0, 1.5))


def test_without_a_time_signature_nothing_is_known_of_bars() -> None:
    sheet = from_midi(written(TEMPO, END))
    assert len(sheet.beats_s) == 9 and sheet.downbeats_s == ()


GOOD = to_midi(a_sheet())
BAD = {
    "text": (b"not a song at all\n" * 9, "is no MIDI"),
    "empty": (b"", "is no MIDI"),
    "cut short": (GOOD[: len(GOOD) // 2], "is no MIDI, or damaged"),
    "no tempo": (written(("time_signature", {"numerator": 4, "denominator": 4}), END), "has no tempo"),
    "no track": (GOOD[:10] + bytes(2) + GOOD[12:14], "has no tempo"),
    "five four": (written(TEMPO, ("time_signature", {"numerator": 5}), END), "its time signature is 5/4"),
    "timed by frames": (GOOD[:12] + b"\xe7\x28" + GOOD[14:], "MIDI without beats"),
    "asynchronous": (written(TEMPO, END, kind=2), "MIDI without beats"),
    "endless": (written(TEMPO, ("end_of_track", {"time": (1 << 28) - 1}), ticks=1), "more than 100000 beats"),
    "no time passes": (written(("set_tempo", {"tempo": 0}), END), "duration must be"),
}


@pytest.mark.parametrize("content, said", BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_refused_in_one_line_that_names_it(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "song.mid"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as refused:
        read_sheet(path)
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)


@given(data=st.data())
def test_damaged_bytes_are_refused_or_read_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        sheet = from_midi(bytes(content))
    except UserError:
        return
    assert all(a < b for a, b in pairwise(sheet.beats_s))


@pytest.mark.parametrize(
    "sheet, said",
    [
        (LeadSheet(9.0, key="C"), "MIDI needs beats"),
        (LeadSheet(99.0, beats_s=(0.0, 20.0)), "no tempo for the beat from 0.000 to 20.000 s"),
        (LeadSheet(99.0, beats_s=(0.0, 1.0, 1.001)), "no tempo for the beat"),
    ],
)
def test_what_midi_cannot_hold_is_said_and_nothing_is_written(sheet: LeadSheet, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"song\.mid: .*{said}"):
        write_sheet(sheet, tmp_path / "song.mid")
    assert not list(tmp_path.iterdir())
