"""Levels after calibration are those of the recordings, band by band, and a bound keeps what is no matter of level."""

from __future__ import annotations

import math

import torch

from samuel_train.codec.fit.calibration import calibrate, shares
from samuel_train.codec.losses.spectral import mid_side
from samuel_train.codec.model.small import BAND_BINS, LEVEL_SPREAD, SmallCodec
from tests.support.train.tiny_codec import TINY


def codec_and_music() -> tuple[SmallCodec, torch.Tensor]:
    """A codec, and as recordings what it makes of noise: what the levels are right for."""
    torch.manual_seed(0)
    codec = SmallCodec(TINY).eval()
    with torch.no_grad():
        for head in (codec.decoder.low, codec.decoder.high):
            head.bias[:, :, : 2 * BAND_BINS] += 0.5  # louder than the floor of the analysis
        music = codec.decode(torch.randn(2, 8, 24))
    return codec, music


def band_power(codec: SmallCodec, audio: torch.Tensor) -> torch.Tensor:
    """(2, 32): of mid and side."""
    real, imaginary = codec.encoder.analysis(mid_side(audio))
    return (real.square() + imaginary.square()).sum(dim=(0, 2)).unflatten(-1, (-1, BAND_BINS)).sum(-1)


@torch.no_grad()
def test_each_band_of_mid_and_side_gets_its_share_of_the_power_it_lacks() -> None:
    codec, music = codec_and_music()
    # The true level of every band differs from what comes out, by up to 2.6 dB.
    off = 0.3 * torch.sin(torch.arange(32.0))
    decoded = codec.decode(codec.encoder(music))
    wanted = band_power(codec, decoded)
    for index, head in enumerate((codec.decoder.low, codec.decoder.high)):
        bands = off[: head.bands] if index == 0 else off[-head.bands :]
        head.bias[:, 0, : 2 * BAND_BINS] += (bands / LEVEL_SPREAD)[:, None]
    before = band_power(codec, codec.decode(codec.encoder(music))) / wanted
    assert before.log().abs().max() > 0.5
    # The same latents, and as the recording what they sounded like before.
    latents = codec.encoder(music)
    codec.encoder.forward = lambda audio: latents  # type: ignore[method-assign]
    calibrate(codec, [decoded])
    after = band_power(codec, codec.decode(latents)) / wanted
    # Not exact, for windows let power leak into bands beside.
    expected = (1 - shares()) * before.log()
    assert (after.log() - expected).abs().mean() < 0.2 * before.log().abs().mean()
    assert (after.log() - expected).abs().max() < 0.35 * before.log().abs().max()


@torch.no_grad()
def test_no_band_is_moved_by_more_than_three_decibels() -> None:
    codec, music = codec_and_music()
    gains = calibrate(codec, [100 * music])
    assert gains.shape == (2, 32)
    assert math.isclose(gains.max().item(), 0.8 * 0.35, rel_tol=1e-6)
