from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_runtime.audio.reading import AudioFile, resampled, resampled_count
from samuel_runtime.audio.samples import Audio
from samuel_runtime.audio.writing import FORMATS
from samuel_runtime.errors import UserError
from tests.support.runtime.commands import RATE_HZ, singing, write_voice


@pytest.mark.parametrize("suffix", [*FORMATS, ".AIF"])
def test_whole_files_of_every_format_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"voice{suffix}"
    format_name = {".AIF": "AIFF"}.get(suffix, FORMATS.get(suffix.lower(), ("",))[0])
    soundfile.write(path, singing(2.0), RATE_HZ, format=format_name)
    file = AudioFile.open(path)
    assert (file.sample_rate_hz, file.channels) == (RATE_HZ, 1)
    assert file.samples_count == 2 * RATE_HZ
    blocks = np.concatenate(list(file.blocks()))
    error = np.linalg.norm(blocks - singing(2.0)) / np.linalg.norm(singing(2.0))
    assert error < (0.2 if suffix in (".ogg", ".mp3") else 1e-4)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_sample_formats_of_wav_are_read(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "voice.wav", singing(0.5), RATE_HZ, subtype)
    assert Audio.read(tmp_path / "voice.wav").samples_count == RATE_HZ // 2


def test_a_file_may_be_read_more_than_once(tmp_path: Path) -> None:
    file = AudioFile.open(write_voice(tmp_path / "voice.wav"))
    first, second = (np.concatenate(list(file.blocks())) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3"])
def test_a_recording_that_is_too_long_is_not_read_to_its_end(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_voice(tmp_path / f"voice{suffix}", 3.0)
    assert AudioFile.open(path, longest_s=3.5).samples_count >= 3 * RATE_HZ
    with pytest.raises(UserError, match=r"lasts longer than 0\.025 minutes; cut it into parts"):
        AudioFile.open(path, longest_s=1.5)
    monkeypatch.setattr("samuel_runtime.audio.reading._promised", _promises_little)
    with pytest.raises(UserError, match=r"lasts longer than 0\.025 minutes"):  # whatever the header says
        AudioFile.open(path, longest_s=1.5)


def _promises_little(path: Path, recording: Path) -> Any:
    info = soundfile.info(recording)
    info.frames = 1000
    return info


def test_a_file_that_breaks_after_it_was_opened_is_reported(tmp_path: Path) -> None:
    file = AudioFile.open(write_voice(tmp_path / "voice.wav"))
    file.path.unlink()
    with pytest.raises(UserError, match=r"voice\.wav"):
        list(file.blocks())


@pytest.mark.parametrize("name", ["v.raw", "v.RAW", ".take.raw"])
def test_a_file_without_header_was_a_traceback(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(singing(0.1).tobytes())
    with pytest.raises(UserError, match=rf"{name}: a \.raw file .*ffmpeg -f"):
        AudioFile.open(tmp_path / name)


@pytest.mark.parametrize("axes", [(), (2, 3, 4)])
def test_audio_of_other_axes_is_refused(axes: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="expected"):
        Audio(np.zeros(axes), RATE_HZ)


@pytest.mark.parametrize("samples, rate", [(np.zeros((0, 1)), 44100), (np.zeros(5), 1), (np.full(5, np.nan), 44100)])
def test_audio_in_memory_is_held_to_the_same_rules_as_files(samples: np.ndarray, rate: int) -> None:
    with pytest.raises(UserError, match="audio"):
        Audio(samples, rate)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20_000), st.sampled_from([4000, 8000, 22050, 44100, 48000, 96000, 192000, 384000]))
def test_resampling_yields_exactly_the_promised_samples(samples: int, rate: int) -> None:
    recording = Audio(np.zeros((samples, 1)), rate)
    assert sum(len(block) for block in resampled(recording, 44100, 2)) == resampled_count(recording, 44100)
    assert resampled_count(recording, 44100) == -(-samples * 44100 // rate) >= 1


@pytest.mark.parametrize("rate", [8000, 22050, 48000, 96000])
def test_a_tone_survives_resampling(rate: int) -> None:
    time, expected_time = np.arange(rate) / rate, np.arange(44100) / 44100
    tone = Audio(np.sin(2 * np.pi * 440 * time), rate)
    heard = np.concatenate(list(resampled(tone, 44100, 1)))[:, 0]
    expected = np.sin(2 * np.pi * 440 * expected_time)
    middle = slice(2000, -2000)  # the ends ring
    assert np.linalg.norm(heard[middle] - expected[middle]) / np.linalg.norm(expected[middle]) < 1e-3


@pytest.mark.parametrize("rate", [RATE_HZ, 48_000])
def test_a_constant_offset_went_to_the_encoder(rate: int) -> None:
    voice = singing(0.5, rate, channels=3)
    heard, expected = (
        np.concatenate(list(resampled(Audio(samples, rate), RATE_HZ, 2)))
        for samples in (voice + np.float32([0.3, -0.2, 0.1]), voice)
    )
    middle = slice(200, -200)
    np.testing.assert_allclose(heard[middle], expected[middle], atol=1e-3)


def test_mono_is_laid_on_both_channels_and_many_become_their_mean() -> None:
    mono = Audio(singing(0.1), 44100)
    both = np.concatenate(list(resampled(mono, 44100, 2)))
    np.testing.assert_array_equal(both[:, 0], mono.samples[:, 0])
    np.testing.assert_array_equal(both[:, 1], mono.samples[:, 0])
    six = Audio(singing(0.1, channels=6), 44100)
    both = np.concatenate(list(resampled(six, 44100, 2)))
    np.testing.assert_allclose(both[:, 0], six.samples.mean(axis=1), atol=1e-6)
    stereo = Audio(singing(0.1, channels=2), 44100)
    np.testing.assert_array_equal(np.concatenate(list(resampled(stereo, 44100, 2))), stereo.samples)


@settings(deadline=1000, max_examples=60)
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"RIFF\0\0\0\0WAVEfmt ", b"fLaC", b"OggS", b"\xff\xfb\x90", b"FORM"])
)
def test_random_files_are_refused_or_read_and_nothing_else(
    tmp_path_factory: object, content: bytes, head: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random.wav"  # type: ignore[attr-defined]
    path.write_bytes(head + content)
    try:
        AudioFile.open(path)
    except UserError as error:
        assert str(path) in str(error)
