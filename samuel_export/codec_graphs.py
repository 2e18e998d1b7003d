"""The codec's two halves as graphs of any length, written for the codec at hand."""

from __future__ import annotations

import onnx

from samuel_export import oobleck_graphs, small_codec_graphs
from samuel_train.codec import Codec
from samuel_train.codec.oobleck import OobleckCodec
from samuel_train.codec.small import SmallCodec


def encoder_graph(codec: Codec) -> onnx.ModelProto:
    """waveform (1, channels, samples) -> latents (1, latent channels, frames).

    Raises:
        TypeError: the codec is of no kind that has graphs.
    """
    if isinstance(codec, OobleckCodec):
        return oobleck_graphs.encoder_graph(codec)
    if isinstance(codec, SmallCodec):
        return small_codec_graphs.encoder_graph(codec)
    raise TypeError(f"{type(codec).__name__} has no graphs")


def decoder_graph(codec: Codec) -> onnx.ModelProto:
    """latents (1, latent channels, frames) -> waveform (1, channels, samples).

    Raises:
        TypeError: the codec is of no kind that has graphs.
    """
    if isinstance(codec, OobleckCodec):
        return oobleck_graphs.decoder_graph(codec)
    if isinstance(codec, SmallCodec):
        return small_codec_graphs.decoder_graph(codec)
    raise TypeError(f"{type(codec).__name__} has no graphs")
