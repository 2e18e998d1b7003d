"""Restore a codec's folder from a bundle: the encoder is the bundle's, the decoder is newly initialised.

    python -m samuel_export.read_back BUNDLE -o CODEC

For bundles whose codec was not kept. `samuel-train codec --refine CODEC` then trains the decoder on unchanged latents,
and `samuel-export BUNDLE --decoder CODEC` puts it into the bundle, whose denoiser stays as it is. What
graphs/small_codec.py does to an encoder's weights is undone here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

import click
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from samuel_export.graphs.small_codec import level_order
from samuel_export.precision.weights import unpack_weights
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import DecoderKind, GraphName
from samuel_runtime.cli import console
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision
from samuel_train.codec.model.convnext import ConvNextBlock
from samuel_train.codec.model.files import save_small_codec
from samuel_train.codec.model.small import LEVEL_CENTRE, LEVEL_SPREAD, SKIP_GROUP, SmallCodec, SmallEncoder
from samuel_train.codec.model.small_config import SmallCodecConfig
from samuel_train.codec.model.stft import STEPS

_CONVOLUTION_AXES = 4
_FIRST_LAYER, _LINEAR, _BLOCK = 3, 2, 8  # arrays


def read_back(bundle: Path, seed: int = 0) -> SmallCodec:
    """The bundle's encoder, with a decoder of the default sizes and random weights.

    Args:
        bundle: its folder, with a codec of `samuel-train codec`.
        seed: of the decoder's weights.

    Raises:
        UserError: the bundle is not in order, its codec is of another kind, or its encoder is not in float32.
    """
    opened = Bundle.open(bundle)
    if opened.manifest.codec.decoder is not DecoderKind.SPECTRUM:
        raise UserError(f"{bundle}: its codec was not made by `samuel-train codec`; keep the folder that it came from")
    if (precision := opened.manifest.graphs[GraphName.ENCODER].precision) is not Precision.FP32:
        raise UserError(f"{bundle}: its encoder is typed in {precision.value}; only one in fp32 can be read back")
    graph = unpack_weights(onnx.load_model_from_string(opened.read_graph(GraphName.ENCODER)))
    weights = _weights(graph)
    torch.manual_seed(seed)
    codec = SmallCodec(_config(graph, weights, opened.manifest.codec.sample_rate_hz))
    with torch.no_grad():
        _fill(codec.encoder, iter(weights))
    codec.provenance = opened.manifest.provenance["codec"]
    codec.licence = opened.manifest.provenance["codec_licence"]
    return codec.eval()


def _weights(graph: onnx.ModelProto) -> list[Tensor]:
    """The trained weights in the order in which the graph was written, from the first layer on."""
    tensors = sorted(graph.graph.initializer, key=lambda tensor: int(re.sub(r"\D", "", tensor.name) or 0))
    arrays = (numpy_helper.to_array(tensor) for tensor in tensors)
    learned = [torch.from_numpy(a.astype(np.float32)) for a in arrays if a.dtype.kind == "f" and a.ndim]
    inputs = len(level_order())
    return list(dropwhile(lambda weight: weight.ndim != 2 or len(weight) != inputs, learned))


def _config(graph: onnx.ModelProto, weights: list[Tensor], sample_rate_hz: int) -> SmallCodecConfig:
    width = weights[0].shape[1]
    convolutions = [weight for weight in weights if weight.ndim == _CONVOLUTION_AXES]
    after = weights[_FIRST_LAYER:]
    fine = next(count for count in range(len(convolutions)) if after[count * _BLOCK].ndim != _CONVOLUTION_AXES)
    after_stack = after[fine * _BLOCK + _LINEAR]
    return SmallCodecConfig(
        sample_rate_hz=sample_rate_hz,
        latent_channels=len(weights[-1]),
        encoder_width=width,
        encoder_blocks=fine,
        encoder_latent_width=len(convolutions[-1]),
        encoder_latent_blocks=len(convolutions) - fine,
        encoder_long_width=0 if after_stack.ndim == _CONVOLUTION_AXES else after_stack.shape[1],
        quietest_db=_quietest_db(graph),
        kernel_frames=convolutions[0].shape[-1],
    )


def _quietest_db(graph: onnx.ModelProto) -> int:
    """The encoder's power floor in dB: the lower bound of the first Clip."""
    name = next(node.input[1] for node in graph.graph.node if node.op_type == "Clip")
    floor = next(tensor for tensor in graph.graph.initializer if tensor.name == name)
    return round(10 * math.log10(numpy_helper.to_array(floor).item()))


def _fill(encoder: SmallEncoder, weights: Iterator[Tensor]) -> None:
    order = torch.from_numpy(level_order())
    of_levels, bias, of_phased = next(weights), next(weights), next(weights)
    by_level = _reordered(of_levels.T * (2 * LEVEL_SPREAD), order)
    encoder.enter.weight.copy_(torch.cat([by_level, of_phased.T], dim=1))
    encoder.enter.bias.copy_(bias + by_level.sum(dim=1) * LEVEL_CENTRE / LEVEL_SPREAD)
    _fill_blocks(encoder.fine, weights)
    _fill_linear(encoder.stack, weights)
    if encoder.long:
        weight, bias = next(weights).T * (2 * LEVEL_SPREAD), next(weights)
        encoder.long.enter.weight.copy_(weight)
        encoder.long.enter.bias.copy_(bias + weight.sum(dim=1) * LEVEL_CENTRE / LEVEL_SPREAD)
        _fill_linear(encoder.long.leave, weights)
    _fill_blocks(encoder.coarse, weights)
    _fill_linear(encoder.leave, weights)
    skip, bias = next(weights).T * (2 * LEVEL_SPREAD), next(weights)
    skip = _reordered(skip.unflatten(1, (STEPS, -1)), order[::SKIP_GROUP] // SKIP_GROUP).flatten(1)
    encoder.skip.weight.copy_(skip)
    encoder.skip.bias.copy_(bias + skip.sum(dim=1) * LEVEL_CENTRE / LEVEL_SPREAD)


def _fill_blocks(blocks: nn.Sequential, weights: Iterator[Tensor]) -> None:
    for block in blocks:
        assert isinstance(block, ConvNextBlock)  # mypy: what a Sequential holds
        for parameter in (block.along_time.weight, block.along_time.bias, block.norm.weight, block.norm.bias):
            assert parameter is not None  # mypy: a layer's bias may be None; here every layer has one
            parameter.copy_(next(weights))
        _fill_linear(block.widen, weights)
        _fill_linear(block.narrow, weights)
        block.scale.fill_(1)  # it is part of the narrow layer's weights


def _fill_linear(layer: nn.Linear, weights: Iterator[Tensor]) -> None:
    layer.weight.copy_(next(weights).T)
    layer.bias.copy_(next(weights))


def _reordered(weights: Tensor, order: Tensor) -> Tensor:
    """Columns that lie in ``order``, back where they came from."""
    result = torch.empty_like(weights)
    result[..., order] = weights
    return result


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder for the codec.")
def command(bundle: Path, out: Path) -> None:
    """Restore a codec's folder from the encoder of BUNDLE, with a newly initialised decoder."""
    if out.exists():
        raise UserError(f"{out}: exists; choose another folder with -o")
    save_small_codec(out, read_back(bundle))
    click.echo(str(out))


if __name__ == "__main__":
    console.run(command)
