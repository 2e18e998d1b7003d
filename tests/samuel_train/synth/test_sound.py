"""Signal tools: envelopes, mastering, recording, whistling. They need numpy alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samuel_train.synth.band.mastering import compress, equalise, finish, master
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, convolve, from_db, midi_to_hz, rms, smooth
from samuel_train.synth.voice.envelopes import (
    APERIODICITY_HZ,
    ENVELOPE_HZ,
    WORLD_BINS,
    aperiodicities,
    interpolation,
    spectra,
)
from samuel_train.synth.voice.recording import record_voice
from samuel_train.synth.voice.whistle import octaves_up, whistle


@pytest.mark.parametrize("samples", [1, 1000, 140_000, 300_001])
def test_convolution_in_blocks_equals_convolution(samples: int) -> None:
    rng = np.random.default_rng(0)
    signal, response = rng.standard_normal(samples), rng.standard_normal(50)
    expected = np.convolve(signal, response)[:samples]
    assert rms(convolve(signal.astype(np.float32), response) - expected) < 1e-5 * rms(expected)


@given(st.integers(1, 40), st.integers(1, 90))
def test_smoothing_keeps_length_and_constants(width: int, points: int) -> None:
    assert np.allclose(smooth(np.full(points, 3.5), width), 3.5)
    assert smooth(np.ones((points, 2)), width).shape == (points, 2)


def test_concert_pitch() -> None:
    assert midi_to_hz(69) == 440
    assert midi_to_hz(60.0) == pytest.approx(261.626, abs=0.001)


def test_interpolation_is_numpys() -> None:
    known, asked = np.array([0.0, 1.0, 4.0]), np.linspace(-1, 6, 29)
    values = np.array([3.0, -1.0, 2.0])
    assert np.allclose(values @ interpolation(known, asked), np.interp(asked, known, values))


def test_envelopes_go_on_above_the_speech_and_fall() -> None:
    """A flat spectrum stays flat as far as it is trusted: 4 kHz in a voice, 9 kHz in noise."""
    flat = np.zeros((2, len(ENVELOPE_HZ)), dtype=np.float32)
    power = spectra(flat, np.array([True, False]), 1.0)
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, WORLD_BINS)
    level_db = 10 * np.log10(power[:, np.argmin(np.abs(hz - 16_000))])
    assert power.shape == (2, WORLD_BINS)
    assert np.allclose(power[0, hz < 3700], 1)
    assert np.allclose(power[1, hz < 8500], 1)
    assert -40 < level_db[0] < -25 < level_db[1] < 0


def test_formants_move_with_the_stretch() -> None:
    envelope = -np.square((ENVELOPE_HZ - 1000) / 100)[None].astype(np.float32)
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, WORLD_BINS)
    for stretch in (0.9, 1.0, 1.1):
        peak_hz = hz[np.argmax(spectra(envelope, np.array([True]), stretch)[0])]
        assert peak_hz == pytest.approx(1000 * stretch, abs=60)


@given(st.floats(0, 1))
def test_aperiodicity_is_a_share_that_grows_with_breath(breath: float) -> None:
    kept = np.full((1, len(APERIODICITY_HZ)), 0.01)
    shares = aperiodicities(kept, breath)[0]
    assert 0 < shares.min() <= shares.max() < 1
    assert (shares >= aperiodicities(kept, 0.0)[0] - 1e-6).all()


def test_equaliser_gives_what_it_is_told() -> None:
    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for hz, decibels in ((100.0, -6.0), (1000.0, 0.0), (8000.0, 12.0)):
        tone = np.sin(2 * np.pi * hz * time_s)[:, None].astype(np.float32)
        shaped = equalise(tone, [(100.0, -6.0), (1000.0, 0.0), (8000.0, 12.0)])
        assert 20 * np.log10(rms(shaped) / rms(tone)) == pytest.approx(decibels, abs=0.3)


def test_compressor_draws_loud_and_quiet_together() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2 * SAMPLE_RATE_HZ, 1)).astype(np.float32)
    noise[SAMPLE_RATE_HZ:] *= 0.25
    pressed = compress(noise, 0.5)
    ratio = rms(pressed[:SAMPLE_RATE_HZ]) / rms(pressed[SAMPLE_RATE_HZ:])
    assert ratio == pytest.approx(2, rel=0.1)


def test_nothing_clips_and_cuts_are_silent() -> None:
    loud = 10 * np.random.default_rng(0).standard_normal((SAMPLE_RATE_HZ, 2)).astype(np.float32)
    finished = finish(loud)
    assert np.abs(finished).max() <= 0.99
    assert not finished[[0, -1]].any()


def test_mastered_band_has_the_level_of_a_record() -> None:
    mix = 0.01 * np.random.default_rng(0).standard_normal((SAMPLE_RATE_HZ, 2)).astype(np.float32)
    assert from_db(-23) < rms(master(np.random.default_rng(1), mix)) < from_db(-13)


@pytest.mark.parametrize("seed", range(4))
def test_recorded_voice_keeps_a_noise_floor_in_its_pauses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    voice = rng.standard_normal(3 * SAMPLE_RATE_HZ).astype(np.float32)
    voice[SAMPLE_RATE_HZ:] = 0
    recorded = record_voice(rng, voice)
    assert recorded.shape == (3 * SAMPLE_RATE_HZ, 2)
    assert recorded.dtype == np.float32
    assert from_db(-32) < rms(recorded) < from_db(-13)
    pause = recorded[-SAMPLE_RATE_HZ : -SAMPLE_RATE_HZ // 4]
    assert from_db(-85) < rms(pause) / rms(recorded) < from_db(-35)


def test_silence_is_recorded_as_its_floor() -> None:
    recorded = record_voice(np.random.default_rng(0), np.zeros(SAMPLE_RATE_HZ, dtype=np.float32))
    assert np.isfinite(recorded).all()
    assert rms(recorded) < from_db(-50)


def test_whistle_sounds_where_lips_can_and_on_pitch() -> None:
    f0_hz = np.full(400, 220.0)
    assert octaves_up(f0_hz) == 2
    sound = whistle(np.random.default_rng(0), 4 * f0_hz, np.ones(400), 0.1)
    spectrum = np.abs(np.fft.rfft(sound[: 2 * 44_100] * np.hanning(2 * 44_100)))
    assert np.argmax(spectrum) / 2 == pytest.approx(880, abs=1)
