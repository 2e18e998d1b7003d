"""The codec's encoder and decoder as graphs of any length, for every kind of codec."""

from __future__ import annotations

from typing import Any

import onnx

from samuel_export.graphs import oobleck as oobleck_graphs
from samuel_export.graphs import small_codec as small_codec_graphs
from samuel_train.codec import Codec
from samuel_train.codec.model.oobleck import OobleckCodec
from samuel_train.codec.model.small import SmallCodec


def encoder_graph(codec: Codec) -> onnx.ModelProto:
    """waveform (1, channels, samples) -> latents (1, latent channels, frames).

    Raises:
        TypeError: the codec is of no kind that has graphs.
    """
    return _writer(codec).encoder_graph(codec)


def decoder_graph(codec: Codec) -> onnx.ModelProto:
    """latents (1, latent channels, frames) -> waveform (1, channels, samples).

    Raises:
        TypeError: the codec is of no kind that has graphs.
    """
    return _writer(codec).decoder_graph(codec)


def _writer(codec: Codec) -> Any:
    """The module that writes the graphs of this kind of codec."""
    for kind, module in ((OobleckCodec, oobleck_graphs), (SmallCodec, small_codec_graphs)):
        if isinstance(codec, kind):
            return module
    raise TypeError(f"{type(codec).__name__} has no graphs")
