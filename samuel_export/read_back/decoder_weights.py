"""The small codec's decoder from the weights of its graph: what graphs/small_codec.py did to them is undone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from samuel_export.read_back.learned_weights import BLOCK, LINEAR, blocks_from, fill_blocks, fill_linear
from samuel_runtime.codec.spectrum import PARTIALS
from samuel_train.codec.model.small import (
    BAND_BINS,
    HIGH_BANDS,
    LEVEL_CENTRE,
    LEVEL_SPREAD,
    LOW_BANDS,
    PARTIAL_CENTRE,
    SPREAD_CENTRE,
    BandHead,
    SmallDecoder,
)

_NORM = 2  # arrays
_HEAD = 4


def decoder_sizes(weights: list[Tensor]) -> dict[str, int]:
    """What the config says of a decoder with these weights.

    Raises:
        IndexError: they are not a decoder's.
    """
    coarse = blocks_from(weights, LINEAR)
    unstack = LINEAR + coarse * BLOCK
    fine = blocks_from(weights, unstack + LINEAR)
    partial = unstack + LINEAR + fine * BLOCK + _NORM
    low, high = (partial + 2 * LINEAR + head * _HEAD for head in (0, 1))
    width = weights[partial].shape[0]
    return {
        "decoder_latent_width": weights[0].shape[1],
        "decoder_latent_blocks": coarse,
        "decoder_width": width,
        "decoder_blocks": fine,
        "partial_width": weights[partial].shape[1],
        "low_band_width": weights[low].shape[1] // LOW_BANDS,
        "high_band_width": weights[high].shape[1] // HIGH_BANDS,
    }


def fill_decoder(decoder: SmallDecoder, weights: Iterator[Tensor]) -> None:
    """Take the weights of a decoder's graph."""
    fill_linear(decoder.enter, weights)
    fill_blocks(decoder.coarse, weights)
    fill_linear(decoder.unstack, weights)
    fill_blocks(decoder.fine, weights)
    decoder.norm.weight.copy_(next(weights))
    decoder.norm.bias.copy_(next(weights))
    fill_linear(decoder.partial_enter, weights)
    scale = torch.tensor([LEVEL_SPREAD, 1.0, 1.0]).repeat_interleave(PARTIALS)
    centre = torch.tensor([PARTIAL_CENTRE, 0.0, 0.0]).repeat_interleave(PARTIALS)
    decoder.partial_leave.weight.copy_(next(weights).T / scale[:, None])
    decoder.partial_leave.bias.copy_((next(weights) - centre) / scale)
    scales, centres = [LEVEL_SPREAD, LEVEL_SPREAD, 1.0], [LEVEL_CENTRE, LEVEL_CENTRE, 0.0]
    _fill_head(decoder.low, weights, [*scales, 1.0, 1.0], [*centres, 0.0, SPREAD_CENTRE])
    _fill_head(decoder.high, weights, scales, centres)
    fill_linear(decoder.envelope, weights)


def _fill_head(head: BandHead, weights: Iterator[Tensor], scales: list[float], centres: list[float]) -> None:
    fill_linear(head.enter, weights)
    scale, centre = (torch.tensor(each).repeat_interleave(BAND_BINS) for each in (scales, centres))
    head.weight.copy_(next(weights) / scale)
    head.bias.copy_((next(weights) - centre) / scale)
