"""Calibration after training: each band of the decoder's spectrum gets the mean power that recordings have there.

Overlapping transforms whose phases disagree cancel in part, and no loss that is least in the spectrum's logarithm gives
back what is lost. Most of what is missing on average is added to the biases of the levels, once, after training. Above
2.8 kHz it is a third: there the power is in few frames, and what those lack would make the quiet ones between them too
loud. On bands held out all of it everywhere made the level 0.6 dB too high and the log-mel distance 0.03 larger; these
shares leave the level 0.2 dB too low and the distance as it is without.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from samuel_runtime.codec.spectrum import PARTIALS
from samuel_train.codec.losses.spectral import mid_side
from samuel_train.codec.model.small import BAND_BINS, HIGH_BANDS, LEVEL_SPREAD, LOW_BANDS, SmallCodec

_MOST = 0.35
"""Largest correction, in nepers: 3 dB. A larger difference is no error of level."""
_SHARE_BELOW, _SHARE_ABOVE, _BANDS_BELOW = 0.8, 0.3, 4
_QUIET = 1e-12


def shares() -> Tensor:
    """How much of what is missing each band gets, (bands,)."""
    bands = 1 + LOW_BANDS + HIGH_BANDS
    return torch.where(torch.arange(bands) < _BANDS_BELOW, _SHARE_BELOW, _SHARE_ABOVE)


@torch.no_grad()
def calibrate(codec: SmallCodec, batches: Iterable[Tensor]) -> Tensor:
    """Shift the decoder's levels; the gains of mid and side in nepers, (2, bands).

    Args:
        codec: changed in place.
        batches: recordings (batch, 2, samples), a whole number of latent frames.
    """
    powers = [(_band_power(codec, audio), _band_power(codec, codec.decode(codec.encoder(audio)))) for audio in batches]
    true, decoded = (torch.stack(each).sum(dim=0) + _QUIET for each in zip(*powers, strict=True))  # (2, bands) each
    gains = ((true / decoded).log() / 2).clamp(-_MOST, _MOST) * shares().to(true)
    decoder = codec.decoder
    decoder.partial_leave.bias[:PARTIALS] += gains[0, 0] / LEVEL_SPREAD  # the first band of mid is the partials'
    for head, bands in ((decoder.low, slice(1, 1 + LOW_BANDS)), (decoder.high, slice(1 + LOW_BANDS, None))):
        for channel, of_channel in enumerate(gains):
            # A head's first outputs are the levels: those of mid, then those of side.
            bins = slice(channel * BAND_BINS, (channel + 1) * BAND_BINS)
            head.bias[:, 0, bins] += (of_channel[bands] / LEVEL_SPREAD)[:, None]
    return gains


def _band_power(codec: SmallCodec, audio: Tensor) -> Tensor:
    """Sum over (batch, 2, samples) of the power in each band of mid and side, (2, bands) float64."""
    real, imaginary = codec.encoder.analysis(mid_side(audio))  # each (batch, 2, 4 frames, bins)
    power = (real.double().square() + imaginary.double().square()).sum(dim=(0, 2))
    return power.unflatten(-1, (-1, BAND_BINS)).sum(-1)
