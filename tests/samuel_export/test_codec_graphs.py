"""Both halves of both codecs as graphs of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from samuel_export.codec_graphs import decoder_graph, encoder_graph
from samuel_runtime.onnx_guard import check_onnx
from samuel_train.codec import Codec, load_codec
from tests.miniature import miniature_codec
from tests.samuel_export.sessions import session
from tests.samuel_export.small_oobleck import save_small_oobleck
from tests.weights import normal, relative_l2

BOUND = 1e-5  # measured 8e-7
FRAMES = [2, 3, 24, 50, 300]  # 24 are what is traced

Opened = tuple[Codec, dict[str, onnx.ModelProto], dict[str, onnxruntime.InferenceSession]]


@pytest.fixture(scope="module", params=["small", "oobleck"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder: Path = tmp_path_factory.mktemp("codec")
    if request.param == "small":
        codec: Codec = miniature_codec(folder)
    else:
        codec = load_codec(save_small_oobleck(folder, latent_channels=4))
    graphs = {"encoder": encoder_graph(codec), "decoder": decoder_graph(codec)}
    return codec, graphs, {name: session(graph) for name, graph in graphs.items()}


@torch.no_grad()
@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("level", [0.1, 0.0])
def test_any_number_of_frames(opened: Opened, frames: int, level: float) -> None:
    codec, _, running = opened
    facts = codec.facts
    waveform = level * normal(1, 1, facts.channels, frames * facts.hop_samples)
    (latents,) = running["encoder"].run(["latents"], {"waveform": waveform})
    assert latents.shape == (1, facts.latent_channels, frames)
    assert relative_l2(latents, codec.encoder(torch.from_numpy(waveform))) <= BOUND

    given = normal(2, 1, facts.latent_channels, frames) * (level > 0)
    (sound,) = running["decoder"].run(["waveform"], {"latents": given.astype(np.float32)})
    assert sound.shape == waveform.shape
    assert relative_l2(sound, codec.decoder(torch.from_numpy(given.astype(np.float32)))) <= BOUND


def test_graphs_are_self_contained(opened: Opened) -> None:
    for name, graph in opened[1].items():
        check_onnx(graph.SerializeToString(), name)
        assert [axis.dim_value for axis in graph.graph.input[0].type.tensor_type.shape.dim][2] == 0  # no fixed length


def test_no_weight_norm_is_left_in_the_graphs(opened: Opened) -> None:
    """A folded weight is a constant: no graph normalises one at run time."""
    for graph in opened[1].values():
        assert not [node for node in graph.graph.node if "weight_norm" in node.op_type.lower()]
        weights = {tensor.name for tensor in graph.graph.initializer}
        for node in graph.graph.node:
            if node.op_type in ("Conv", "ConvTranspose"):
                assert node.input[1] in weights
