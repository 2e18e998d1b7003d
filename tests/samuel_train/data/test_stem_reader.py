"""Random access to stems: any part of a song is what the whole song has there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from samuel_runtime.errors import UserError
from samuel_train.data.stem_reader import StemReader, open_songs
from samuel_train.data.stems import find_songs, read_song
from tests.support.train.toy import write_song

MUSDB = {"vocals": 0.1, "drums": 0.1, "bass": 0.1, "other": 0.1, "mixture": 0.4}


def reader_of(root: Path, sample_rate_hz: int = 8000) -> StemReader:
    (reader,), _ = open_songs(root, sample_rate_hz, 1)
    return reader


def test_a_song_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    written = write_song(tmp_path / "s", {"vocals": 0.3, "accompaniment": 0.3})
    reader = reader_of(tmp_path)
    assert reader.samples == 16_000
    np.testing.assert_array_equal(reader.read("vocals", 1000, 500), written["vocals"][1000:1500].T)
    np.testing.assert_array_equal(reader.read("accompaniment", 15_500, 500), written["accompaniment"][15_500:].T)


def test_a_mono_stem_serves_both_channels(tmp_path: Path) -> None:
    write_song(tmp_path / "s", {"vocals": 0.3, "accompaniment": 0.3}, channels=1)
    audio = reader_of(tmp_path).read("vocals", 0, 4096)
    np.testing.assert_array_equal(audio[0], audio[1])


@pytest.mark.parametrize("file_rate_hz", [8000, 11_025, 7350, 48_000])
def test_crops_of_another_rate_were_refused(tmp_path: Path, file_rate_hz: int) -> None:
    """Crops are those of the song that is resampled whole, as `prepare` does, up to both ends."""
    write_song(tmp_path / "s", MUSDB, sample_rate_hz=file_rate_hz)
    (song,), _ = find_songs(tmp_path)
    samples, blocks = read_song(song, 8000, 2)
    whole = np.concatenate(list(blocks), axis=2)
    reader = StemReader.open(song, 8000)
    assert reader.samples == samples
    for start, length in ((0, 700), (3001, 1000), (samples - 500, 500)):
        for stem, expected in zip(("vocals", "accompaniment"), whole, strict=True):
            np.testing.assert_allclose(
                reader.read(stem, start, length), expected[:, start : start + length], rtol=0, atol=1e-4
            )


def test_a_song_that_is_too_short_is_left_out(tmp_path: Path) -> None:
    write_song(tmp_path / "long", MUSDB, duration_s=2.0)
    write_song(tmp_path / "short", MUSDB, duration_s=0.5)
    readers, skipped = open_songs(tmp_path, 8000, 8000)
    assert [reader.song.name for reader in readers] == ["long"]
    assert [(skip.song, skip.reason) for skip in skipped] == [("short", "shorter than 1.0 s")]
    with pytest.raises(UserError, match=r"none of the 2 songs can be used .*samuel-train synthesize"):
        open_songs(tmp_path, 8000, 80_000)


def test_stems_of_different_lengths_are_refused_by_name(tmp_path: Path) -> None:
    write_song(tmp_path / "s", {"vocals": 0.1}, duration_s=2.0)
    write_song(tmp_path / "s", {"accompaniment": 0.1}, duration_s=1.5)
    with pytest.raises(UserError, match=r"s/accompaniment\.wav lasts 1\.50 s"):
        open_songs(tmp_path, 8000, 1)


def test_a_stem_with_nan_was_read_as_music(tmp_path: Path) -> None:
    written = write_song(tmp_path / "s", MUSDB)
    written["bass"][5] = np.nan
    soundfile.write(tmp_path / "s" / "bass.wav", written["bass"], 8000, subtype="FLOAT")
    with pytest.raises(UserError, match=r"s/bass\.wav: holds samples that are NaN"):
        open_songs(tmp_path, 8000, 1)
