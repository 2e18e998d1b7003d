"""Files that libsndfile reads in part and without a word: every sample is found, or one line says what is wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_runtime.audio.containers import recordings_in
from samuel_runtime.audio.containers.ogg import checksum
from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.audio.samples import Audio
from samuel_runtime.errors import UserError
from tests.support.runtime.bad_audio import wav_header
from tests.support.runtime.commands import RATE_HZ, singing, write_voice

FORMATS = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".opus": "OGG", ".mp3": "MP3", ".au": "AU", ".aiff": "AIFF"}


def sung(suffix: str, duration_s: float = 3.0) -> tuple[np.ndarray, int]:
    """Phrases that grow louder, (samples,), and a rate that the format takes."""
    rate_hz = 48_000 if suffix == ".opus" else RATE_HZ
    samples = singing(duration_s, rate_hz)[:, 0]
    return samples * np.linspace(0.1, 1, len(samples), dtype=np.float32), rate_hz


def write(path: Path, duration_s: float = 3.0) -> bytes:
    """Write such phrases to a file; its content."""
    samples, rate_hz = sung(path.suffix, duration_s)
    subtype = "OPUS" if path.suffix == ".opus" else None
    soundfile.write(path, samples, rate_hz, subtype, format=FORMATS[path.suffix])
    return path.read_bytes()


def loudness(samples: np.ndarray) -> np.ndarray:
    """RMS of each tenth of a second, to compare what lossy codecs make."""
    tenths = np.array_split(samples, len(samples) // 4410)
    return np.array([np.sqrt(np.square(tenth).mean()) for tenth in tenths])


def variable_mp3(path: Path) -> bytes:
    """Half a pause, half a song, at the bit rates they need: a length guessed from the first frames is wrong."""
    samples = singing(6.0)
    samples[: 3 * RATE_HZ] *= 1e-4
    with soundfile.SoundFile(
        path, "w", RATE_HZ, 1, format="MP3", compression_level=0.3, bitrate_mode="VARIABLE"
    ) as file:
        file.write(samples)
    return path.read_bytes()


def without_count(mp3: bytes) -> bytes:
    """An MP3 as cut out of a stream: its first frame, which holds the count, is gone."""
    return mp3[mp3.index(mp3[:2], 4) :]


def test_an_mp3_of_variable_bit_rate_without_a_count_lost_its_second_half(tmp_path: Path) -> None:
    path = tmp_path / "stream.mp3"
    path.write_bytes(without_count(variable_mp3(path)))
    file = AudioFile.open(path)
    assert file.samples_count == pytest.approx(6 * RATE_HZ, abs=0.05 * RATE_HZ)
    assert sum(len(block) for block in file.blocks()) == file.samples_count
    heard = Audio.read(path).samples[:, 0]
    assert np.abs(heard[-2 * RATE_HZ :]).max() > 0.2


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".mp3", ".flac", ".au"])
def test_of_joined_files_only_the_first_was_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"both{suffix}"
    path.write_bytes(2 * write(path))
    samples, _ = sung(suffix)
    file = AudioFile.open(path)
    assert file.samples_count == 2 * len(samples)
    heard = np.concatenate(list(file.blocks()))[:, 0]
    for half in (heard[: len(samples)], heard[len(samples) :]):
        np.testing.assert_allclose(loudness(half), loudness(samples), rtol=0.1, atol=0.01)


def test_joined_mp3_are_read_whole_whichever_of_them_holds_a_count(tmp_path: Path) -> None:
    path = tmp_path / "both.mp3"
    mp3 = write(path)
    tag = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)
    for joined in (mp3 + without_count(mp3), without_count(mp3) + mp3, mp3 + b"TAG".ljust(128) + tag + mp3):
        path.write_bytes(joined)
        assert AudioFile.open(path).samples_count == pytest.approx(6 * RATE_HZ, abs=0.1 * RATE_HZ)


@pytest.mark.parametrize("suffix", [".wav", ".aiff"])
def test_joined_files_that_cannot_be_read_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"both{suffix}"
    path.write_bytes(2 * write(path))
    with pytest.raises(UserError, match=path.name):
        AudioFile.open(path)


def test_joined_files_of_different_rates_are_refused(tmp_path: Path) -> None:
    first = write_voice(tmp_path / "a.flac").read_bytes()
    path = tmp_path / "b.flac"
    path.write_bytes(first + write_voice(path, sample_rate_hz=48_000).read_bytes())
    with pytest.raises(UserError, match=r"b\.flac: holds 2 recordings .*44100 Hz.* 48000 Hz"):
        AudioFile.open(path)


def test_an_mp3_without_a_count_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "damaged.mp3"
    mp3 = without_count(write(path))
    path.write_bytes(mp3[: len(mp3) // 2] + bytes(3000) + mp3[len(mp3) // 2 + 3000 :])
    with pytest.raises(UserError, match=r"damaged\.mp3: damaged 1\.\d s after its start"):
        AudioFile.open(path)


@pytest.mark.parametrize("promised", [0, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_written_to_a_pipe_was_empty_or_cut(tmp_path: Path, promised: int) -> None:
    path = tmp_path / "stream.wav"
    samples = write(path)[44:]
    path.write_bytes(wav_header(data_bytes=promised) + samples)
    assert AudioFile.open(path).samples_count == 3 * RATE_HZ
    np.testing.assert_allclose(Audio.read(path).samples[:, 0], sung(".wav")[0], atol=1e-4)


@pytest.mark.parametrize("unknown", [0, 0xFFFFFFFFFFFFFFFF])
def test_an_rf64_written_to_a_pipe_was_empty_or_cut(tmp_path: Path, unknown: int) -> None:
    path = tmp_path / "stream.wav"
    samples = write(path)[44:]
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, unknown, unknown, unknown, 0)
    header = wav_header(data_bytes=0xFFFFFFFF)
    path.write_bytes(b"RF64\xff\xff\xff\xffWAVE" + sizes + header[12:] + samples)
    assert AudioFile.open(path).samples_count == 3 * RATE_HZ


def test_a_wav_with_tags_and_no_samples_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "hollow.wav"
    path.write_bytes(wav_header() + struct.pack("<4sI4s", b"LIST", 4, b"INFO"))
    with pytest.raises(UserError, match="holds no samples"):
        AudioFile.open(path)


def of_unknown_length(flac: bytes) -> bytes:
    """With 0 for the 36 bits of STREAMINFO that count the samples."""
    return flac[:21] + bytes((flac[21] & 0xF0, 0, 0, 0, 0)) + flac[26:]


@pytest.mark.parametrize("duration_s", [0.01, 3.0, 3.21])
def test_a_flac_of_unknown_length_was_an_error_of_seeking(tmp_path: Path, duration_s: float) -> None:
    path = tmp_path / "stream.flac"
    path.write_bytes(of_unknown_length(write(path, duration_s)))
    assert AudioFile.open(path).samples_count == round(duration_s * RATE_HZ)
    np.testing.assert_allclose(Audio.read(path).samples[:, 0], sung(".flac", duration_s)[0], atol=1e-4)


def test_a_flac_of_unknown_length_that_breaks_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    path.write_bytes(of_unknown_length(write(path))[:-100])
    with pytest.raises(UserError, match=r"cut\.flac: the file breaks off"):
        AudioFile.open(path)


def unmarked(ogg: bytes) -> bytes:
    """With no mark on the last page that it is the last."""
    start = ogg.rindex(b"OggS")
    page = bytearray(ogg[start:])
    page[5] &= ~4
    page[22:26] = bytes(4)
    page[22:26] = checksum(page).to_bytes(4, "little")
    return ogg[:start] + bytes(page)


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
def test_an_ogg_without_a_marked_end_was_called_cut(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"stream{suffix}"
    path.write_bytes(unmarked(write(path)))
    samples, rate_hz = sung(suffix)
    assert AudioFile.open(path).samples_count == len(samples) == 3 * rate_hz


def test_whole_files_are_read_where_they_are(tmp_path: Path) -> None:
    for suffix in FORMATS:
        path = tmp_path / f"voice{suffix}"
        write(path, 0.5)
        with recordings_in(path) as recordings:
            assert recordings == [path]


def test_copies_are_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    path = tmp_path / "both.flac"
    path.write_bytes(2 * write(path))
    blocks = AudioFile.open(path).blocks()
    next(blocks)
    assert list((tmp_path / "scratch").iterdir())
    blocks.close()
    assert not list((tmp_path / "scratch").iterdir())


def _shuffled(content: bytes, data: st.DataObject) -> bytes:
    """Cut, joined, with some bytes changed."""
    changed = bytearray(2 * content[: data.draw(st.integers(1, len(content)))])
    for _ in range(data.draw(st.integers(0, 6))):
        changed[data.draw(st.integers(0, min(len(changed) - 1, 400)))] = data.draw(st.integers(0, 255))
    return bytes(changed)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    folder = tmp_path_factory.mktemp("whole")
    written = {suffix: write(folder / f"voice{suffix}", 0.2) for suffix in FORMATS}
    written["RF64"] = b"RF64\xff\xff\xff\xffWAVE" + struct.pack("<4sI28x", b"ds64", 28) + wav_header()[12:] + bytes(99)
    written["tagged"] = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + without_count(written[".mp3"]) + b"APETAGEX" + bytes(24)
    return written.__getitem__


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_files_are_refused_or_read_and_nothing_else(
    whole: Callable[[str], bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = whole(data.draw(st.sampled_from([*FORMATS, "RF64", "tagged"])))
    path = tmp_path_factory.getbasetemp() / "shuffled.wav"
    path.write_bytes(_shuffled(content, data))
    try:
        AudioFile.open(path)
    except UserError as error:
        assert str(path) in str(error)
