"""What is written about a song, by frame: beats where they fall, chords while they sound, both when played faster."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_train.data.annotations import CHANNELS, music_frames, written_music
from samuel_train.data.stems import SongFolder
from samuel_train.synth.facts import SongFacts

FACTS = {
    "tonic": "C",
    "mode": "major",
    "tempo_bpm": 60.0,
    "style": "pop",
    "beats_s": [0.05, 1.05, 2.05],
    "downbeats_s": [1.05],
    "chords": [[0.0, "C"], [1.0, "Am7"]],
    "melody": [],
}


def facts() -> SongFacts:
    return SongFacts.from_dict(FACTS)


def test_beats_and_downbeats_are_marked_with_their_neighbours() -> None:
    music = music_frames(facts(), 24, 0.1)
    beat, downbeat = music[0].astype(float), music[1].astype(float)
    assert beat.nonzero()[0].tolist() == [0, 1, 9, 10, 11, 19, 20, 21]
    assert beat[[0, 1, 9, 10, 11]].tolist() == [1, 0.5, 0.5, 1, 0.5]
    assert downbeat.nonzero()[0].tolist() == [9, 10, 11]


def test_chords_sound_until_the_next_one() -> None:
    music = music_frames(facts(), 24, 0.1)
    tones, root = music[2:14], music[14:]
    assert tones[:, 9].nonzero()[0].tolist() == [0, 4, 7]  # C E G
    assert tones[:, 10].nonzero()[0].tolist() == [0, 4, 7, 9]  # A C E G
    assert root.argmax(axis=0).tolist() == [0] * 10 + [9] * 14
    assert (root.sum(axis=0) == 1).all()
    assert music.shape == (CHANNELS, 24)


def test_where_there_is_no_chord_nothing_sounds() -> None:
    music = music_frames(SongFacts.from_dict(FACTS | {"chords": [[0.0, "N"], [1.0, "C/D"]]}), 24, 0.1)
    assert not music[2:, :10].any()
    assert music[2:14, 10].nonzero()[0].tolist() == [0, 4, 7] and music[14:, 10].argmax() == 0


def test_faster_is_higher_and_shorter() -> None:
    music = music_frames(facts(), 12, 0.1, semitones=12)
    np.testing.assert_array_equal(music[2:14, 5], music_frames(facts(), 24, 0.1)[2:14, 10])
    assert music[0].nonzero()[0].tolist() == [0, 1, 4, 5, 6, 9, 10, 11]  # half the time from beat to beat
    up = music_frames(facts(), 12, 0.1, semitones=2)
    assert up[2:14, 0].nonzero()[0].tolist() == [2, 6, 9]  # D F# A


def test_facts_are_read_where_they_are(tmp_path: Path) -> None:
    song = SongFolder("s", tmp_path / "vocals.wav", (tmp_path / "accompaniment.wav",))
    assert written_music(song) is None
    (tmp_path / "song.json").write_text(json.dumps({"facts": FACTS}))
    read = written_music(song)
    assert read is not None and read.beats_s == (0.05, 1.05, 2.05)


@pytest.mark.parametrize("text", ["{", "[]", '{"facts": {}}', json.dumps({"facts": FACTS | {"chords": [[0.0, "H"]]}})])
def test_what_holds_no_facts_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "song.json").write_text(text)
    song = SongFolder("s", tmp_path / "vocals.wav", (tmp_path / "accompaniment.wav",))
    with pytest.raises(UserError, match=r"song\.json: not the facts of a song"):
        written_music(song)
