"""Held-out songs on disk, whole and broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_train.data.stems import find_songs
from samuel_train.evaluate.songs import held_out, key_name, read_facts, read_stems
from tests.support.train import signals
from tests.support.train import toy_songs as toy


def _song(root: Path, facts: dict[str, Any] | None, name: str = "a") -> None:
    toy.write_song(root / name, signals.noise(3), signals.noise(3, seed=1), facts)


def test_stems_and_facts_are_read(tmp_path: Path) -> None:
    _song(tmp_path, toy.FACTS)
    song = find_songs(tmp_path)[0][0]
    stems = read_stems(song, signals.RATE_HZ, 2)
    np.testing.assert_allclose(stems.vocals, signals.noise(3))
    np.testing.assert_allclose(stems.accompaniment, signals.noise(3, seed=1))
    facts = read_facts(song)
    assert facts is not None and key_name(facts) == "C major" and facts.chords[1] == (1.0, "F")


def test_a_song_without_facts_has_none(tmp_path: Path) -> None:
    _song(tmp_path, None)
    assert read_facts(find_songs(tmp_path)[0][0]) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"tonic": "H"}, "H"),
        ({"chords": [[0.0, "Cdim9"]]}, "dim9"),
        ({"beats_s": [0.0, 2.0, 1.0]}, "beats_s must be finite times in ascending order"),
        ({"tempo_bpm": 0}, "tempo_bpm must be positive"),
        ({"tempo_bpm": "fast"}, "TypeError"),
        ({"colour": "red"}, "unknown key colour"),
    ],
)
def test_wrong_facts_are_named(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    _song(tmp_path, toy.FACTS | wrong)
    with pytest.raises(UserError, match=r"song\.json: not the facts of a song.*remove it") as caught:
        read_facts(find_songs(tmp_path)[0][0])
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"facts": 3}', "\x00"])
def test_a_broken_file_of_facts_is_named(tmp_path: Path, text: str) -> None:
    _song(tmp_path, None)
    (tmp_path / "a" / "song.json").write_text(text)
    with pytest.raises(UserError, match=r"song\.json: not the facts"):
        read_facts(find_songs(tmp_path)[0][0])


def test_two_songs_are_the_least(tmp_path: Path) -> None:
    _song(tmp_path, None)
    with pytest.raises(UserError, match="at least two are needed"):
        held_out(tmp_path, None)
    _song(tmp_path, None, "b")
    _song(tmp_path, None, "c")
    assert [song.name for song in held_out(tmp_path, 2)[0]] == ["a", "b"]


def test_a_song_of_a_moment_is_refused(tmp_path: Path) -> None:
    toy.write_song(tmp_path / "a", signals.noise(1), signals.noise(1), None)
    with pytest.raises(UserError, match=r"vocals\.wav: lasts less than 2 s"):
        read_stems(find_songs(tmp_path)[0][0], signals.RATE_HZ, 2)
