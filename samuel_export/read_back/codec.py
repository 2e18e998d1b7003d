"""A bundle's codec as a folder, from which training goes on.

What graphs/small_codec.py does to the weights is undone: here to the encoder's, in decoder_weights.py to the decoder's.
The decoder of a bundle older than spectral ones begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from samuel_export.graphs.small_codec import level_order
from samuel_export.precision.weights import unpack_weights
from samuel_export.read_back.decoder_weights import decoder_sizes, fill_decoder
from samuel_export.read_back.learned_weights import (
    BLOCK,
    CONVOLUTION_AXES,
    LINEAR,
    blocks_from,
    fill_blocks,
    fill_linear,
    learned_weights,
)
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import DecoderKind, GraphName
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision
from samuel_train.codec.model.small import LEVEL_CENTRE, LEVEL_SPREAD, SKIP_GROUP, SmallCodec, SmallEncoder
from samuel_train.codec.model.small_config import SmallCodecConfig
from samuel_train.codec.model.stft import STEPS

_FIRST_LAYER = 3  # arrays


def read_codec(bundle: Path, seed: int = 0) -> SmallCodec:
    """The bundle's codec.

    Args:
        bundle: its folder, with a codec of `samuel-train codec`.
        seed: of a decoder that begins anew, because the bundle's gives a waveform.

    Raises:
        UserError: the bundle is not in order, its codec is of another kind, or its encoder is not in float32.
    """
    opened = Bundle.open(bundle)
    if (precision := opened.manifest.graphs[GraphName.ENCODER].precision) is not Precision.FP32:
        raise UserError(f"{bundle}: its encoder is typed in {precision.value}; only one in fp32 can be read back")
    encoder, decoder = (
        unpack_weights(onnx.load_model_from_string(opened.read_graph(name)))
        for name in (GraphName.ENCODER, GraphName.DECODER)
    )
    weights = learned_weights(encoder, inputs=len(level_order()))
    if not weights:
        raise UserError(f"{bundle}: its codec was not made by `samuel-train codec`; keep the folder that it came from")
    config = _config(encoder, weights, opened.manifest.codec.sample_rate_hz)
    spectral = opened.manifest.codec.decoder is DecoderKind.SPECTRUM
    of_decoder = learned_weights(decoder, config.latent_channels) if spectral else []
    torch.manual_seed(seed)
    codec = SmallCodec(replace(config, **decoder_sizes(of_decoder)) if spectral else config)
    with torch.no_grad():
        _fill(codec.encoder, iter(weights))
        if spectral:
            fill_decoder(codec.decoder, iter(of_decoder))
    codec.provenance = opened.manifest.provenance["codec"]
    codec.licence = opened.manifest.provenance["codec_licence"]
    return codec.eval()


def _config(graph: onnx.ModelProto, weights: list[Tensor], sample_rate_hz: int) -> SmallCodecConfig:
    width = weights[0].shape[1]
    convolutions = [weight for weight in weights if weight.ndim == CONVOLUTION_AXES]
    fine = blocks_from(weights, _FIRST_LAYER)
    after_stack = weights[_FIRST_LAYER + fine * BLOCK + LINEAR]
    return SmallCodecConfig(
        sample_rate_hz=sample_rate_hz,
        latent_channels=len(weights[-1]),
        encoder_width=width,
        encoder_blocks=fine,
        encoder_latent_width=len(convolutions[-1]),
        encoder_latent_blocks=len(convolutions) - fine,
        encoder_long_width=0 if after_stack.ndim == CONVOLUTION_AXES else after_stack.shape[1],
        quietest_db=_quietest_db(graph),
        kernel_frames=convolutions[0].shape[-1],
    )


def _quietest_db(graph: onnx.ModelProto) -> int:
    """Of the encoder's floor, below which the first Clip lets no power fall."""
    name = next(node.input[1] for node in graph.graph.node if node.op_type == "Clip")
    floor = next(tensor for tensor in graph.graph.initializer if tensor.name == name)
    return round(10 * math.log10(numpy_helper.to_array(floor).item()))


def _fill(encoder: SmallEncoder, weights: Iterator[Tensor]) -> None:
    order = torch.from_numpy(level_order())
    of_levels, bias, of_phased = next(weights), next(weights), next(weights)
    by_level = _reordered(of_levels.T * (2 * LEVEL_SPREAD), order)
    encoder.enter.weight.copy_(torch.cat([by_level, of_phased.T], dim=1))
    encoder.enter.bias.copy_(bias + by_level.sum(dim=1) * LEVEL_CENTRE / LEVEL_SPREAD)
    fill_blocks(encoder.fine, weights)
    fill_linear(encoder.stack, weights)
    if encoder.long:
        weight, bias = next(weights).T * (2 * LEVEL_SPREAD), next(weights)
        encoder.long.enter.weight.copy_(weight)
        encoder.long.enter.bias.copy_(bias + weight.sum(dim=1) * LEVEL_CENTRE / LEVEL_SPREAD)
        fill_linear(encoder.long.leave, weights)
    fill_blocks(encoder.coarse, weights)
    fill_linear(encoder.leave, weights)
    skip, bias = next(weights).T * (2 * LEVEL_SPREAD), next(weights)
    skip = _reordered(skip.unflatten(1, (STEPS, -1)), order[::SKIP_GROUP] // SKIP_GROUP).flatten(1)
    encoder.skip.weight.copy_(skip)
    encoder.skip.bias.copy_(bias + skip.sum(dim=1) * LEVEL_CENTRE / LEVEL_SPREAD)


def _reordered(weights: Tensor, order: Tensor) -> Tensor:
    """Columns that lie in ``order``, back where they came from."""
    result = torch.empty_like(weights)
    result[..., order] = weights
    return result
