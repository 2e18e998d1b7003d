"""Log-mel distance: the definition of the codecs' measure, in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.audio.mel import BANDS, HOP_SAMPLES, WINDOW_SAMPLES, log_mel, log_mel_distance, mel_filters

RATE_HZ = 44_100


@pytest.fixture
def music() -> np.ndarray:
    """Tones and noise, (samples, 2): all bands are reached, and each channel is another."""
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    tones = sum(np.sin(2 * np.pi * hz * time_s) for hz in (110.0, 1234.5, 9000.0))
    noise = np.random.default_rng(0).normal(size=(len(time_s), 2))
    return 0.1 * tones[:, None] + noise * [0.01, 0.1]


def test_it_is_the_codecs_measure(music: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    from samuel_train.codec.losses.spectral import MEL_FLOOR, MelSpectrum, Resolution

    bands = MelSpectrum(Resolution(2048, 512, 80), RATE_HZ)(torch.from_numpy(music.T.copy()).float())
    expected = bands.clamp(min=MEL_FLOOR).log().numpy()
    assert expected.shape == (2, 1 + (len(music) - WINDOW_SAMPLES) // HOP_SAMPLES, BANDS)
    np.testing.assert_allclose(log_mel(music, RATE_HZ), expected, atol=1e-3)


@pytest.mark.usefixtures("librosa_compiled")
@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 48_000])
def test_the_filters_are_librosas(rate_hz: int) -> None:
    filters = pytest.importorskip("librosa").filters
    expected = filters.mel(sr=rate_hz, n_fft=WINDOW_SAMPLES, n_mels=BANDS, fmax=min(rate_hz / 2, 22_050))
    np.testing.assert_allclose(mel_filters(rate_hz), expected, atol=1e-7)


def test_twice_as_loud_is_log_two_in_every_band(music: np.ndarray) -> None:
    assert log_mel_distance(music, music, RATE_HZ) == 0
    assert log_mel_distance(2 * music, music, RATE_HZ) == pytest.approx(np.log(2))


def test_silence_is_the_floor_and_nan_is_no_agreement(music: np.ndarray) -> None:
    assert (log_mel(np.zeros((4096, 1)), RATE_HZ) == np.log(1e-5)).all()
    broken = music.copy()
    broken[5000] = np.nan
    assert np.isnan(log_mel_distance(broken, music, RATE_HZ))
    with pytest.raises(ValueError, match="do not fill"):
        log_mel(music[:100], RATE_HZ)
