"""Losses tell apart what the ear tells apart, and latents that have collapsed from ones that have not."""

from __future__ import annotations

import math

import torch

from samuel_train.codec.losses.spectral import (
    LatentLoss,
    MelSpectrum,
    Resolution,
    SpectralLoss,
    effective_rank,
    log_mel_distance,
    mel_filters,
    mid_side,
)

RATE_HZ = 44100


def tone(frequency_hz: float, level: float = 0.3, samples: int = 16384) -> torch.Tensor:
    """(1, 2, samples) of a sine."""
    time = torch.arange(samples) / RATE_HZ
    return (level * torch.sin(2 * math.pi * frequency_hz * time)).repeat(1, 2, 1)


def test_mel_filters_have_unit_area_and_rising_centres() -> None:
    bank = mel_filters(8192, 80, RATE_HZ)
    areas = bank.sum(dim=1) * RATE_HZ / 8192
    assert torch.allclose(areas, torch.ones(80), atol=0.02)
    assert (bank.argmax(dim=1).diff() > 0).all()


def test_mel_filters_stop_at_the_highest_frequency() -> None:
    bank = mel_filters(2048, 80, RATE_HZ, highest_hz=8000.0)
    above = torch.arange(1025) * RATE_HZ / 2048 > 8000
    assert bank[:, above].abs().max() == 0


def test_mel_gradient_equals_finite_differences() -> None:
    mel = MelSpectrum(Resolution(64, 16, 8), RATE_HZ).double()
    audio = torch.randn(2, 96, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    audio.requires_grad_()

    def parts(x: torch.Tensor) -> torch.Tensor:
        spectrum = mel.spectrum(x)
        bands = mel.bands(spectrum)
        return torch.cat([torch.view_as_real(spectrum).flatten(), bands.flatten()])

    assert torch.autograd.gradcheck(parts, (audio,))


def test_log_mel_distance_of_a_doubled_level_is_log_two() -> None:
    bands = torch.rand(3, 10, 80, generator=torch.Generator().manual_seed(0)) + 0.1
    assert math.isclose(log_mel_distance(2 * bands, bands).item(), math.log(2), rel_tol=1e-5)


def test_a_detuned_tone_is_further_than_a_louder_one() -> None:
    loss = SpectralLoss(RATE_HZ)
    true = tone(440)
    assert sum(loss(true, true).values()).item() == 0
    louder = loss(tone(440, 0.33), true)["log_mel"]
    assert loss(tone(452), true)["log_mel"] > 2 * louder


def test_the_level_term_hears_a_median_in_place_of_a_mean() -> None:
    """Noise whose every bin has the median magnitude is 1.6 dB quieter, which the log-mel term alone rewards."""
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(1, 2, 65536, generator=generator)
    other = 0.1 * torch.randn(1, 2, 65536, generator=generator)
    loss = SpectralLoss(RATE_HZ, level_weight=1.0)
    quieter = loss(other * 10 ** (-1.6 / 20), noise)["level"]
    assert quieter > 2 * loss(other, noise)["level"]
    assert loss(noise, noise)["level"] == 0


def test_a_narrowed_stereo_image_is_heard_in_middle_and_side() -> None:
    generator = torch.Generator().manual_seed(0)
    mid, side = torch.randn(2, 1, 1, 32768, generator=generator)
    wide, narrow = (torch.cat([mid + width * side, mid - width * side], dim=1) / 10 for width in (0.05, 0.005))
    loss = SpectralLoss(RATE_HZ)
    heard = loss(narrow, wide)["log_mel"]
    assert heard < 0.05
    assert loss(mid_side(narrow), mid_side(wide))["log_mel"] > 10 * heard


def test_silence_has_a_finite_gradient() -> None:
    audio = torch.zeros(1, 2, 16384, requires_grad=True)
    sum(SpectralLoss(RATE_HZ, level_weight=1.0)(audio, tone(440)).values()).backward()
    assert audio.grad is not None and audio.grad.isfinite().all()


def test_rank_collapse_with_unit_variances_is_seen_and_punished() -> None:
    generator = torch.Generator().manual_seed(0)
    free = torch.randn(8, 16, 200, generator=generator)
    collapsed = torch.randn(8, 2, 200, generator=generator).repeat_interleave(8, dim=1)
    collapsed = collapsed + 0.01 * free
    assert effective_rank(free) > 15
    assert effective_rank(collapsed) < 2.5
    settled = LatentLoss(16, decay=0.0)
    assert settled(collapsed)["covariance"] > 20 * settled(free)["covariance"]
    assert settled(collapsed)["centre"] < 0.05


def test_the_latent_gradient_is_the_batchs_own_whatever_the_running_means() -> None:
    latents = torch.randn(2, 4, 50, generator=torch.Generator().manual_seed(0))
    loss = LatentLoss(4, decay=0.5)
    shifted = (latents + 1).requires_grad_()
    loss(shifted)["centre"].backward()
    assert shifted.grad is not None
    # Descent moves every channel's mean towards zero.
    assert (shifted.grad.mean(dim=(0, 2)) > 0).all()
