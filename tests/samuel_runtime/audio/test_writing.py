from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samuel_runtime.audio.level import Meter
from samuel_runtime.audio.reading import AudioFile
from samuel_runtime.audio.samples import Audio
from samuel_runtime.audio.writing import FORMATS, Band, check_target, peak_of, safe_gain, write_audio
from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing
from tests.support.runtime.commands import RATE_HZ, mounted, singing, tree

NOISE = np.random.default_rng(1).normal(size=(70_000, 2)).astype(np.float32)


def _blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    return iter(np.array_split(samples, 7))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("loud", [0.1, 3.0])
def test_peaks_stay_below_full_scale_in_every_format(tmp_path: Path, suffix: str, loud: float) -> None:
    path = tmp_path / f"band{suffix}"
    samples = np.concatenate([loud * np.sign(singing(0.5, channels=2)), loud * NOISE / np.abs(NOISE).max()])
    samples = samples.astype(np.float32)
    gain = write_audio(path, lambda: _blocks(samples), float(np.abs(samples).max()), RATE_HZ)
    written = soundfile.read(path)[0]
    assert len(written) == len(samples)
    assert np.abs(written).max() < 1
    assert (gain == 1) == (loud < 1)
    if suffix not in (".ogg", ".mp3"):
        np.testing.assert_allclose(written, gain * samples, atol=2.0**-23)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("samples", [1, 2, 1000])
def test_the_shortest_bands_are_written_whole(tmp_path: Path, suffix: str, samples: int) -> None:
    path = tmp_path / f"band{suffix}"
    write_audio(path, lambda: iter([NOISE[:samples] / 8]), 1.0, RATE_HZ)
    assert AudioFile.open(path).samples_count == samples


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("pages_missing", [1, 2, 4])
def test_a_disk_that_fills_with_the_very_last_block_is_noticed(tmp_path: Path, suffix: str, pages_missing: int) -> None:
    # FLAC, OGG and MP3 were once written without their end, and without a word.
    samples = np.tile(NOISE / 8, (3, 1))[:200_000]
    write_audio(tmp_path / f"whole{suffix}", lambda: _blocks(samples), 1.0, RATE_HZ)
    pages = -(-(tmp_path / f"whole{suffix}").stat().st_size // 4096)
    with mounted(tmp_path / "disk", f"size={4096 * (pages - pages_missing)}") as disk:
        with (
            pytest.raises(UserError, match="is the disk full"),
            replacing(disk / f"band{suffix}") as temporary,
        ):
            write_audio(temporary, lambda: _blocks(samples), 1.0, RATE_HZ)
        assert tree(disk) == {}


def test_a_band_is_stored_and_measured(tmp_path: Path) -> None:
    band, meter = Band(tmp_path / "band.f32", RATE_HZ, 2), Meter(RATE_HZ)
    band.fill(_blocks(NOISE))
    meter.add(NOISE)
    np.testing.assert_array_equal(np.concatenate(list(band.blocks())), NOISE)
    assert band.level.peak == meter.level().peak
    assert band.level.rms_db == pytest.approx(meter.level().rms_db)


@pytest.mark.parametrize("silent", ["voice", "band"])
def test_silence_is_mixed_as_it_is(tmp_path: Path, silent: str) -> None:
    sung = np.zeros_like(NOISE) if silent == "voice" else 0.1 * NOISE
    played = np.zeros_like(NOISE) if silent == "band" else 0.1 * NOISE
    band = Band(tmp_path / "band.f32", RATE_HZ, 2)
    band.fill(iter([played]))
    mixed = np.concatenate(list(band.mixed_with(Audio(sung, RATE_HZ))))
    np.testing.assert_array_equal(mixed, sung + played)


def _mixed(folder: Path, voice: np.ndarray) -> np.ndarray:
    band = Band(folder / "band.f32", RATE_HZ, 2)
    band.fill(iter([0.1 * NOISE[: len(voice)]]))
    return np.concatenate(list(band.mixed_with(Audio(voice, RATE_HZ))))


def test_the_mix_kept_a_constant_offset_and_a_band_far_too_loud(tmp_path: Path) -> None:
    voice = singing(1.0, amplitude=0.01)
    mixed = _mixed(tmp_path, voice + 0.3)
    assert np.abs(mixed.mean(axis=0)).max() < 1e-3
    np.testing.assert_allclose(mixed, _mixed(tmp_path, voice), atol=1e-4)


def test_the_band_for_a_voice_in_one_of_eight_channels_was_too_loud(tmp_path: Path) -> None:
    voice = np.zeros((RATE_HZ, 8), np.float32)
    voice[:, 3:4] = singing(1.0)
    mean = voice.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(_mixed(tmp_path, voice), _mixed(tmp_path, mean), atol=1e-5)


def test_the_gain_only_ever_turns_down() -> None:
    assert safe_gain(0.0, Path("a.wav")) == safe_gain(0.5, Path("a.wav")) == 1
    assert 2 * safe_gain(2.0, Path("a.wav")) < 1
    assert safe_gain(2.0, Path("a.MP3")) < safe_gain(2.0, Path("a.wav"))
    assert peak_of(iter([])) == 0 and peak_of(iter([np.array([[0.5, -2.0]])])) == 2


def test_checking_a_target_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "band.wav").write_text("old")
    check_target(tmp_path / "band.wav")
    check_target(tmp_path / "new.flac")
    assert tree(tmp_path) == {"band.wav": b"old"}
