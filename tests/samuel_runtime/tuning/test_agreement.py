"""Whether two backends sound the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samuel_runtime.audio.samples import Audio
from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Provider, Settings
from samuel_runtime.tuning import agreement as module
from samuel_runtime.tuning.agreement import (
    IDENTICAL_DB,
    Agreement,
    GeneratedSample,
    agreement,
    compare,
    generated_sample,
)


@pytest.fixture(scope="module")
def samuel(bundle: Path) -> Samuel:
    return Samuel.load(bundle, Provider.CPU, threads=1)


@pytest.fixture(scope="module")
def reference(samuel: Samuel) -> GeneratedSample:
    return generated_sample(samuel)


def _noisy(made: GeneratedSample, snr_db: float) -> GeneratedSample:
    noise = np.random.default_rng(0).normal(size=made.latents.shape)
    noise *= np.sqrt((made.latents**2).mean() / (noise**2).mean()) * 10 ** (-snr_db / 20)
    return replace(made, latents=made.latents + noise)


def test_a_way_agrees_with_itself(samuel: Samuel) -> None:
    found = agreement(samuel, samuel)
    assert found == Agreement(latent_snr_db=IDENTICAL_DB, log_mel=0.0)
    assert found.passed and found.error == 0


def test_a_sample_is_the_whole_way_of_a_sung_voice(samuel: Samuel, reference: GeneratedSample) -> None:
    model, codec = samuel.manifest.model, samuel.manifest.codec
    assert reference.latents.shape == (model.latent_channels, model.frames_min)
    assert reference.band.samples.shape == (model.frames_min * codec.hop_samples, codec.channels)
    voice = module._voice(model.frames_min * codec.hop_samples, samuel)
    assert 0.1 < np.abs(voice.samples).max() < 1 and not voice.level.silent


def test_the_snr_of_the_latents_is_what_was_added(reference: GeneratedSample) -> None:
    for snr_db in (0.0, 20.0, 60.0):
        found = compare(_noisy(reference, snr_db), reference)
        assert found.latent_snr_db == pytest.approx(snr_db, abs=1e-3)
        assert found.error == pytest.approx(10 ** (-snr_db / 20), rel=1e-3)


def test_latents_or_sound_alone_can_fail(reference: GeneratedSample) -> None:
    assert compare(_noisy(reference, module.LATENT_SNR_MIN_DB + 1), reference).passed
    assert not compare(_noisy(reference, module.LATENT_SNR_MIN_DB - 1), reference).passed
    for gain, passes in ((np.exp(0.8 * module.LOG_MEL_MAX), True), (np.exp(1.2 * module.LOG_MEL_MAX), False)):
        louder = Audio(gain * reference.band.samples, reference.band.sample_rate_hz)
        assert compare(replace(reference, band=louder), reference).passed is passes


def test_two_silences_are_identical(reference: GeneratedSample) -> None:
    silence = replace(reference, latents=np.zeros_like(reference.latents))
    assert compare(silence, silence).latent_snr_db == IDENTICAL_DB
    assert not compare(reference, silence).passed


def test_nan_never_agrees(reference: GeneratedSample) -> None:
    latents = reference.latents.copy()
    latents[0, 0] = np.nan
    assert not compare(replace(reference, latents=latents), reference).passed
    assert not Agreement(IDENTICAL_DB, float("nan")).passed


def test_sound_that_is_not_finite_is_an_error_of_the_way(samuel: Samuel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samuel, "decode", lambda latents, voice: iter([np.full((4096, 2), np.inf, np.float32)]))
    with pytest.raises(UserError, match="infinite"):
        generated_sample(samuel)


def test_another_seed_does_not_agree(
    samuel: Samuel, reference: GeneratedSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Settings", lambda: Settings(seed=1))
    found = compare(generated_sample(samuel), reference)
    assert not found.passed and found.latent_snr_db < 3
