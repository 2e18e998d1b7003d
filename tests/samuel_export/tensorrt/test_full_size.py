"""Engines in the sizes that are deployed: a network of 15.6 M parameters, and Stable Audio Open's codec.

Random weights, and the graphs straight from their writers: the proof of a whole bundle of this size takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

import onnx
import pytest
import torch

from samuel_export.graphs.codec import decoder_graph, encoder_graph
from samuel_export.graphs.denoiser import conditioning_graph, step_graph
from samuel_export.metadata import chunk_frames
from samuel_export.precision.convert import convert_precision
from samuel_export.tensorrt.builder import Built, build
from samuel_export.tensorrt.graphs import buildable, fused, named
from samuel_export.tensorrt.profiles import profiles_of
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import CodecFacts, GraphName, Manifest
from samuel_runtime.settings import Flavor, Precision
from samuel_train.codec.model.oobleck import OobleckCodec
from samuel_train.model.config import ModelConfig
from samuel_train.model.denoiser import Denoiser

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (extra `rtx`)")

CONTEXT_FRAMES = {GraphName.ENCODER: 8, GraphName.DECODER: 10}
"""Of Stable Audio Open's codec, as samuel_train.codec finds them; finding them takes as long as building."""


def stable_audio_open() -> OobleckCodec:
    """Its codec's true size, 156 M parameters: diffusers' defaults."""
    from diffusers import AutoencoderOobleck

    torch.manual_seed(0)
    return OobleckCodec(AutoencoderOobleck().eval(), provenance="random, for tests")


@pytest.fixture(scope="module")
def codec() -> OobleckCodec:
    return stable_audio_open()


def facts(**codec: Any) -> Manifest:
    """The packaged bundle's, whose window is as long, with another codec's."""
    manifest = Bundle.open().manifest
    return manifest.model_copy(update={"codec": CodecFacts(**{**manifest.codec.model_dump(), **codec})})


def built(name: GraphName, graph: onnx.ModelProto, manifest: Manifest) -> Built:
    graph = named(buildable(convert_precision(graph, Precision.FP16), Precision.FP16))
    source, profiles = graph.SerializeToString(), profiles_of(name, graph, manifest)
    start = process_time()
    one = build(source, f"{name.value}.onnx", profiles, Flavor.RTX)
    assert process_time() - start < 60
    print(
        f"{name.value}: {len(source) / 1e6:.1f} MB, built in {one.build_s:.1f} s, "
        f"engine {len(one.engine) / 1e6:.1f} MB, scratch memory {one.scratch_bytes / 1e6:.1f} MB"
    )
    return one


@pytest.mark.slow  # in miniature: test_add_engines.py; that attention stays fused: test_builder.py
def test_the_network() -> None:
    torch.manual_seed(0)
    model = Denoiser(ModelConfig()).eval()
    assert 15e6 < sum(parameter.numel() for parameter in model.parameters()) < 16e6
    built(GraphName.CONDITIONING, conditioning_graph(model), facts())
    step = built(GraphName.STEP, fused(step_graph(model)), facts())
    # Eight takes, both branches, 8 heads: the scores of 1024 x 1024 frames in halves would take 268 MB.
    assert step.scratch_bytes < 130e6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "written"),
    [(GraphName.ENCODER, encoder_graph), (GraphName.DECODER, decoder_graph)],
    ids=["encoder", "decoder"],
)
def test_the_codec(name: GraphName, written: Callable[[OobleckCodec], onnx.ModelProto], codec: OobleckCodec) -> None:
    manifest = facts(
        encoder_context_frames=CONTEXT_FRAMES[GraphName.ENCODER],
        decoder_context_frames=CONTEXT_FRAMES[GraphName.DECODER],
        chunk_frames=chunk_frames(codec),
        hop_samples=codec.facts.hop_samples,
    )
    one = built(name, written(codec), manifest)
    assert len(one.engine) > 150e6  # its weights in halves
