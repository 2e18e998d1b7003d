"""The codec's two halves as graphs, traced: any codec that is a pair of modules will do."""

from __future__ import annotations

import logging
import warnings

import onnx
import torch
from torch import Tensor, nn

from samuel_train.codec import Codec

OPSET = 18
_TRACED_FRAMES = 24


def encoder_graph(codec: Codec) -> onnx.ModelProto:
    """waveform (1, channels, samples) -> latents (1, latent channels, frames)."""
    waveform = torch.zeros(1, codec.facts.channels, _TRACED_FRAMES * codec.facts.hop_samples)
    # Any whole number of frames: the axis must not be fixed to what was traced.
    return _traced(codec.encoder, "waveform", waveform, "latents", multiple=codec.facts.hop_samples)


def decoder_graph(codec: Codec) -> onnx.ModelProto:
    """latents (1, latent channels, frames) -> waveform (1, channels, samples)."""
    latents = torch.zeros(1, codec.facts.latent_channels, _TRACED_FRAMES)
    return _traced(codec.decoder, "latents", latents, "waveform", multiple=1)


def _traced(module: nn.Module, name: str, example: Tensor, output: str, multiple: int) -> onnx.ModelProto:
    frames = torch.export.Dim("frames", min=2, max=1 << 16)
    length = frames if multiple == 1 else multiple * frames
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on its own internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        program = torch.onnx.export(
            module.eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[name],
            output_names=[output],
            dynamic_shapes=({2: length},),
            verbose=False,
        )
    assert program is not None  # None only when it writes to a file
    return _without_traces(program.model_proto)


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the exporter's notes: they quote source lines and the paths of the machine that exported."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model
