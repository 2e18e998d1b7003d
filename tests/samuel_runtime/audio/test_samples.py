from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from samuel_runtime.audio.samples import Audio, recording_of
from samuel_runtime.audio.writing import FORMATS, safe_gain
from samuel_runtime.errors import UserError
from tests.support.runtime.commands import RATE_HZ, run_here, singing, tree, write_voice


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_samples_of_every_type_that_soundfile_gives_have_the_same_level(
    tmp_path: Path, subtype: str, dtype: str
) -> None:
    soundfile.write(tmp_path / "voice.wav", singing(0.2), RATE_HZ, subtype)
    samples, rate = soundfile.read(tmp_path / "voice.wav", dtype=dtype)
    if dtype.startswith("int") and subtype in ("FLOAT", "DOUBLE"):
        samples = (singing(0.2)[:, 0] * np.iinfo(dtype).max).astype(dtype)  # soundfile does not scale these
    audio = Audio(samples, rate)
    assert audio.samples.dtype == np.float32 and audio.samples.shape == (len(samples), 1)
    np.testing.assert_allclose(audio.samples, singing(0.2), atol=1e-4)


def test_integers_are_read_as_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    for subtype, dtype in (("PCM_16", "int16"), ("PCM_24", "int32"), ("PCM_32", "int32")):
        soundfile.write(path, singing(0.2), RATE_HZ, subtype)
        np.testing.assert_array_equal(
            Audio(soundfile.read(path, dtype=dtype)[0], RATE_HZ).samples, Audio.read(path).samples
        )
    assert Audio(np.array([-32768, 16384], np.int16), RATE_HZ).samples[:, 0].tolist() == [-1.0, 0.5]


@pytest.mark.parametrize("dtype", [np.uint8, bool, complex, object, "U3"])
def test_samples_of_a_type_without_a_full_scale_are_refused(dtype: type) -> None:
    with pytest.raises(UserError, match=r"^audio: samples of type .*; make them"):
        Audio(np.zeros(100).astype(dtype), RATE_HZ)


def test_samples_the_wrong_way_round_are_refused_with_the_way_out() -> None:
    with pytest.raises(UserError, match=r"^audio: expected \(samples, channels\).*use samples\.T$"):
        Audio(singing(0.1, channels=2).T, RATE_HZ)


@pytest.mark.parametrize("rate", [44100.5, "44100", None, float("nan"), float("inf"), np.zeros(2)])
def test_a_rate_that_is_no_whole_number_is_refused(rate: object) -> None:
    with pytest.raises(UserError, match=r"^audio: .*rate"):
        Audio(singing(0.1), rate)  # type: ignore[arg-type]


def test_numbers_beyond_single_precision_are_refused_as_infinite() -> None:
    with pytest.raises(UserError, match="NaN or infinite"):
        Audio(np.full(10, 1e300), RATE_HZ)


def test_a_rate_may_be_numpys_or_a_whole_float() -> None:
    for rate in (np.int64(RATE_HZ), float(RATE_HZ)):
        audio = Audio(singing(0.1), rate)  # type: ignore[arg-type]
        assert audio.sample_rate_hz == RATE_HZ and type(audio.sample_rate_hz) is int


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_written_is_turned_down_as_a_whole_and_never_clips(tmp_path: Path, suffix: str) -> None:
    loud = Audio(singing(0.5, channels=2, amplitude=3.0), RATE_HZ)
    path = tmp_path / f"loud{suffix}"
    gain = loud.write(path)
    assert gain <= safe_gain(loud.level.peak, path) < 1
    read = Audio.read(path)
    assert 0.5 < read.level.peak < 1
    assert list(tmp_path.iterdir()) == [path]


def test_what_does_not_clip_is_written_as_it_is(tmp_path: Path) -> None:
    audio = Audio(singing(0.5), RATE_HZ)
    assert audio.write(str(tmp_path / "voice.wav")) == 1
    np.testing.assert_allclose(Audio.read(tmp_path / "voice.wav").samples, audio.samples, atol=2**-23)


@pytest.mark.parametrize("name", ["band.xyz", "nowhere/band.wav"])
def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=Path(name).parts[0]):
        Audio(singing(0.1), RATE_HZ).write(tmp_path / name)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("name, channels, rate", [("a.mp3", 1, 96000), ("a.mp3", 6, 44100), ("a.flac", 9, 44100)])
def test_a_format_that_takes_no_such_audio_is_not_called_a_full_disk(
    tmp_path: Path, name: str, channels: int, rate: int
) -> None:
    audio = Audio(singing(0.1, rate, channels), rate)
    with pytest.raises(UserError, match=rf"{name}: .*{rate} Hz.*{channels} channel.*\.wav"):
        audio.write(tmp_path / name)
    assert tree(tmp_path) == {}


def test_a_mix_is_the_commands(tmp_path: Path, bundle: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from samuel_runtime import Samuel, Settings

    voice = write_voice(tmp_path / "voice.wav", sample_rate_hz=48000, channels=2)
    files = ["-o", tmp_path / "band.wav", "--mix", tmp_path / "mix.wav"]
    run = run_here(capfd, voice, *files, "--bundle", bundle, "--steps", "2", "--threads", "1", "--provider", "cpu")
    assert run.code == 0, run.err
    band = Samuel.load(bundle, "cpu", threads=1).accompany(voice, Settings(steps=2))
    band.write(tmp_path / "again.wav")
    assert (tmp_path / "again.wav").read_bytes() == (tmp_path / "band.wav").read_bytes()
    band.mixed_with(voice).write(tmp_path / "mixed.wav")
    mixes = [Audio.read(tmp_path / name).samples for name in ("mix.wav", "mixed.wav")]
    np.testing.assert_allclose(*mixes, atol=2**-22)  # levels are summed in blocks of another length


def test_a_mix_with_another_voice_is_refused() -> None:
    with pytest.raises(UserError, match=r"the voice lasts 0\.500 s and the accompaniment 1\.000 s"):
        Audio(singing(1.0), RATE_HZ).mixed_with((singing(0.5), RATE_HZ))


def test_a_recording_stays_what_it_is(tmp_path: Path) -> None:
    audio = Audio(singing(0.1), RATE_HZ)
    assert recording_of(audio) is audio
    assert recording_of(write_voice(tmp_path / "voice.wav")).samples_count == RATE_HZ
