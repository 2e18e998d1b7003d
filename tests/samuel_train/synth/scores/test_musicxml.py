"""Lead sheets in MusicXML: read as written, sung in time, and refused one by one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_train.listen.songs.sung_score import sung_score
from samuel_train.synth.scores.musicxml import read_scores

pytest.importorskip("partitura")

_STEPS = ("C", "D", "E", "F", "G", "A", "B")
_CHORDS = {0: ("A", "minor"), 1: ("D", "minor"), 2: ("E", "dominant"), 3: ("A", "minor")}


def _note(step: int, octave: int = 4) -> str:
    pitch = f"<pitch><step>{_STEPS[step % 7]}</step><octave>{octave}</octave></pitch>"
    return f"<note>{pitch}<duration>1</duration><voice>1</voice><type>quarter</type></note>"


def score(beats: int = 4, bars: int = 8, last_beats: int | None = None) -> str:
    """A pickup of a quarter, then bars of quarters with a chord each."""
    signature = f"<time><beats>{beats}</beats><beat-type>4</beat-type></time>"
    attributes = f"<attributes><divisions>1</divisions><key><fifths>0</fifths></key>{signature}</attributes>"
    measures = [f'<measure number="0" implicit="yes">{attributes}{_note(4)}</measure>']
    for bar in range(bars):
        root, kind = _CHORDS[bar % 4]
        harmony = f"<harmony><root><root-step>{root}</root-step></root><kind>{kind}</kind></harmony>"
        count = last_beats if last_beats and bar == bars - 1 else beats
        notes = "".join(_note(bar + beat) for beat in range(count))
        measures.append(f'<measure number="{bar + 1}">{harmony}{notes}</measure>')
    part = '<part-list><score-part id="P1"><part-name>V</part-name></score-part></part-list>'
    return f'<score-partwise version="3.1">{part}<part id="P1">{"".join(measures)}</part></score-partwise>'


def test_a_score_is_read_as_written(tmp_path: Path) -> None:
    (tmp_path / "tune.musicxml").write_text(score())
    (found,), skipped = read_scores(tmp_path)
    assert not skipped and found.meter.value == "4/4" and found.key == "A minor"
    assert found.downbeats == tuple(4.0 * bar for bar in range(8))
    assert found.chords[:3] == ((0.0, "A:min"), (4.0, "D:min"), (8.0, "E:7"))
    assert found.notes[0] == (-1.0, 0.0, 67) and found.notes[1] == (0.0, 1.0, 60)


def test_a_score_is_sung_in_time(tmp_path: Path) -> None:
    (tmp_path / "tune.musicxml").write_text(score(beats=3, bars=16))
    (found,), _ = read_scores(tmp_path)
    sung = sung_score(np.random.default_rng(1), found, 20.0)
    assert sung is not None and sung.sheet.meter.value == "3/4"
    intervals = np.diff(sung.sheet.beats_s)
    assert intervals.min() > 0.9 * 60 / 170 and intervals.max() < 1.1
    onsets = np.array([note.onset_s for note in sung.notes])
    beats = np.array(sung.sheet.beats_s)
    nearest = np.abs(onsets[:, None] - beats).min(axis=1)
    assert np.median(nearest) < 0.06


def test_untidy_scores_are_refused_with_their_reason(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scores.zip", "w") as archive:
        archive.writestr("a/good.xml", score())
        archive.writestr("a/long bar.xml", score(last_beats=5))
        archive.writestr("a/odd.xml", score(beats=5))
        archive.writestr("a/short.xml", score(bars=2))
        archive.writestr("a/broken.xml", "<score-partwise>")
        archive.writestr("a/broken.mxl", b"PK\x03\x04")
        archive.writestr("heldout/kept.xml", score())
    scores, skipped = read_scores(tmp_path / "scores.zip")
    assert [each.name for each in scores] == ["a/good.xml"]
    reasons = {each.song: each.reason for each in skipped}
    assert set(reasons) == {
        f"a/{name}" for name in ("long bar.xml", "odd.xml", "short.xml", "broken.xml", "broken.mxl")
    }
    assert "bar 9 is longer" in reasons["a/long bar.xml"] and "is in 5/4" in reasons["a/odd.xml"]
    held_out, _ = read_scores(tmp_path / "scores.zip", held_out=True)
    assert [each.name for each in held_out] == ["heldout/kept.xml"]


def test_a_folder_without_scores_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no MusicXML score"):
        read_scores(tmp_path)
    (tmp_path / "notes.zip").write_bytes(b"no archive")
    with pytest.raises(UserError, match="is no folder and no zip archive"):
        read_scores(tmp_path / "notes.zip")
