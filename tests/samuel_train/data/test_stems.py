"""Finding songs and streaming their stems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from samuel_runtime.errors import UserError
from samuel_train.data.stems import SongFolder, find_songs, read_song
from tests.support.train.toy import write_song


def _read(song: SongFolder, sample_rate_hz: int = 8000, channels: int = 2) -> np.ndarray:
    samples, blocks = read_song(song, sample_rate_hz, channels)
    joined = np.concatenate(list(blocks), axis=2)
    assert joined.shape[2] == samples
    return joined


def test_songs_of_a_tree_come_sorted_and_named_by_their_folder(tmp_path: Path) -> None:
    write_song(tmp_path / "train" / "B", {"vocals": 0.1, "accompaniment": 0.1})
    write_song(tmp_path / "test" / "A", {"vocals": 0.1, "drums": 0.1, "bass": 0.1, "other": 0.1, "mixture": 0.3})
    write_song(tmp_path / ".hidden", {"vocals": 0.1, "accompaniment": 0.1})
    songs, skipped = find_songs(tmp_path)
    assert [song.name for song in songs] == ["test/A", "train/B"]
    assert [path.stem for path in songs[0].band] == ["drums", "bass", "other"]
    assert not skipped


def test_a_single_song_folder_is_a_tree_of_one(tmp_path: Path) -> None:
    write_song(tmp_path / "song", {"vocals": 0.1, "accompaniment": 0.1})
    assert [song.name for song in find_songs(tmp_path / "song")[0]] == ["song"]


def test_ready_accompaniment_is_preferred_to_the_sum(tmp_path: Path) -> None:
    written = write_song(tmp_path / "s", {"vocals": 0.1, "accompaniment": 0.2, "drums": 0.1})
    (song,), _ = find_songs(tmp_path)
    assert np.array_equal(_read(song)[1], written["accompaniment"].T)


def test_band_is_the_sum_of_its_stems(tmp_path: Path) -> None:
    written = write_song(tmp_path / "s", {"vocals": 0.1, "drums": 0.1, "bass": 0.2, "piano": 0.3}, duration_s=20)
    (song,), _ = find_songs(tmp_path)
    read = _read(song)
    assert np.array_equal(read[0], written["vocals"].T)
    np.testing.assert_allclose(read[1], (written["drums"] + written["bass"] + written["piano"]).T, atol=1e-6)


def test_incomplete_songs_are_reported(tmp_path: Path) -> None:
    write_song(tmp_path / "no band", {"vocals": 0.1})
    write_song(tmp_path / "no voice", {"drums": 0.1})
    songs, skipped = find_songs(tmp_path)
    assert not songs
    assert [skip.song for skip in skipped] == ["no band", "no voice"]
    assert "accompaniment" in skipped[0].reason and "vocals" in skipped[1].reason


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir()])
def test_a_folder_without_songs_is_refused(tmp_path: Path, make: object) -> None:
    make(tmp_path / "stems")  # type: ignore[operator]
    with pytest.raises(UserError, match="stems"):
        find_songs(tmp_path / "stems")


def test_a_link_to_a_parent_folder_does_not_loop(tmp_path: Path) -> None:
    write_song(tmp_path / "s", {"vocals": 0.1, "accompaniment": 0.1})
    (tmp_path / "s" / "up").symlink_to(tmp_path)
    assert len(find_songs(tmp_path)[0]) == 1


def test_lengths_within_the_tolerance_are_cut_to_the_shortest(tmp_path: Path) -> None:
    write_song(tmp_path / "s", {"vocals": 0.1}, duration_s=2.0)
    write_song(tmp_path / "s", {"accompaniment": 0.1}, duration_s=1.95)
    (song,), _ = find_songs(tmp_path)
    assert _read(song).shape == (2, 2, 15600)


def test_lengths_beyond_the_tolerance_are_refused(tmp_path: Path) -> None:
    write_song(tmp_path / "s", {"vocals": 0.1}, duration_s=2.0)
    write_song(tmp_path / "s", {"accompaniment": 0.1}, duration_s=1.8)
    (song,), _ = find_songs(tmp_path)
    with pytest.raises(UserError, match=r"accompaniment.wav lasts 1.80 s but vocals.wav 2.00 s"):
        read_song(song, 8000, 2)


def test_rates_and_channels_of_each_stem_are_converted(tmp_path: Path) -> None:
    t = np.arange(2 * 22050) / 22050
    folder = tmp_path / "s"
    folder.mkdir()
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)
    soundfile.write(folder / "vocals.flac", tone, 22050)
    soundfile.write(folder / "accompaniment.wav", np.zeros((2 * 8000, 6)), 8000)
    (song,), _ = find_songs(tmp_path)
    vocals, band = _read(song)
    assert vocals.shape == band.shape == (2, 16000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 8000)
    assert np.abs(vocals[:, 500:-500] - expected[500:-500]).max() < 1e-3
    assert not band.any()


def test_a_stem_without_header_was_a_traceback(tmp_path: Path) -> None:
    write_song(tmp_path / "only raw", {"vocals": 0.1, "accompaniment": 0.1})
    (tmp_path / "only raw" / "vocals.wav").rename(tmp_path / "only raw" / "vocals.raw")
    write_song(tmp_path / "raw beside wav", {"vocals": 0.1, "accompaniment": 0.1})
    (tmp_path / "raw beside wav" / "vocals.raw").write_bytes(bytes(2000))
    (song,), (skipped,) = find_songs(tmp_path)
    assert skipped.song == "only raw" and "no vocals file" in skipped.reason
    assert song.vocals.name == "vocals.wav"


def test_damaged_stem_is_refused_by_name(tmp_path: Path) -> None:
    write_song(tmp_path / "s", {"vocals": 0.1, "accompaniment": 0.1})
    (tmp_path / "s" / "accompaniment.wav").write_bytes(b"no audio at all")
    (song,), _ = find_songs(tmp_path)
    with pytest.raises(UserError, match=r"accompaniment\.wav"):
        read_song(song, 8000, 2)
