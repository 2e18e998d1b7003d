"""Lead sheets in MusicXML: read as written, and refused one by one."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from samuel_runtime.errors import UserError
from samuel_train.synth.scores.musicxml import read_scores
from tests.support.train.miniature_scores import accompanied, harmony, musicxml

pytest.importorskip("partitura")


def test_a_score_is_read_as_written(tmp_path: Path) -> None:
    (tmp_path / "tune.musicxml").write_text(musicxml())
    (found,), skipped = read_scores(tmp_path)
    assert not skipped and found.meter.value == "4/4" and found.key == "A minor"
    assert found.downbeats == tuple(4.0 * bar for bar in range(8))
    assert found.chords[:3] == ((0.0, "A:min"), (4.0, "D:min"), (8.0, "E:7"))
    assert found.notes[0] == (-1.0, 0.0, 67) and found.notes[1] == (0.0, 1.0, 60)


def test_chords_keep_their_bass_and_no_chord_needs_no_root(tmp_path: Path) -> None:
    no_chord = "<harmony><kind text='N.C.'>none</kind></harmony>"
    inverted = harmony("D", "minor-seventh", bass=("B", -1))
    (tmp_path / "tune.musicxml").write_text(musicxml(harmonies=(harmony("C", "major", ("E", 0)), no_chord, inverted)))
    (found,), _ = read_scores(tmp_path)
    assert [name for _, name in found.chords[:4]] == ["C:maj/3", "N", "D:min7/b6", "C:maj/3"]


def test_a_song_without_symbols_has_the_chords_of_its_accompaniment(tmp_path: Path) -> None:
    c, f, g = [(0, 3), (4, 3), (2, 4), (4, 3)], [(3, 3), (0, 4), (5, 3), (0, 4)], [(4, 2), (1, 3), (6, 3), (3, 4)]
    (tmp_path / "lied.musicxml").write_text(accompanied([c, f, c, g] * 2 + [c]))
    (found,), _ = read_scores(tmp_path)
    assert found.chords == tuple(
        (4.0 * bar, name) for bar, name in enumerate(["C:maj", "F:maj", "C:maj", "G:7"] * 2 + ["C:maj"])
    )
    assert found.key == "C major"
    assert found.notes[:2] == ((0.0, 1.0, 72), (1.0, 2.0, 74))  # the voice's alone


def test_untidy_scores_are_refused_with_their_reason(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scores.zip", "w") as archive:
        archive.writestr("a/good.xml", musicxml())
        archive.writestr("a/long bar.xml", musicxml(last_beats=5))
        archive.writestr("a/odd.xml", musicxml(beats=5))
        archive.writestr("a/short.xml", musicxml(bars=2))
        archive.writestr("a/broken.xml", "<score-partwise>")
        archive.writestr("a/broken.mxl", b"PK\x03\x04")
        archive.writestr("heldout/kept.xml", musicxml())
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
    with pytest.raises(UserError, match="holds no MusicXML score outside"):
        read_scores(tmp_path)
    with pytest.raises(UserError, match="holds no MusicXML score in folders called heldout"):
        read_scores(tmp_path, held_out=True)
    (tmp_path / "notes.zip").write_bytes(b"no archive")
    with pytest.raises(UserError, match="is no folder and no zip archive"):
        read_scores(tmp_path / "notes.zip")
