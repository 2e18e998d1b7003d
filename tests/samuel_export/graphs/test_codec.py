"""Both halves of both codecs as graphs of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from diffusers import AutoencoderOobleck

from samuel_export.graphs.codec import decoder_graph, encoder_graph
from samuel_runtime.bundle.onnx_guard import check_onnx
from samuel_train.codec import Codec, SignalFacts, load_codec
from samuel_train.codec.model.oobleck import OobleckCodec
from samuel_train.codec.model.small import SmallCodec
from tests.support.export.sessions import session
from tests.support.export.small_oobleck import save_small_oobleck
from tests.support.miniature import miniature_codec
from tests.support.weights import normal, relative_l2

BOUND = 1e-5  # measured 8e-7
FRAMES = [2, 3, 24, 50, 160]

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
@pytest.mark.parametrize(("frames", "level"), [*((frames, 0.1) for frames in FRAMES), (3, 0.0), (50, 0.0)])
def test_any_number_of_frames(opened: Opened, frames: int, level: float) -> None:
    codec, _, running = opened
    facts = codec.facts
    waveform = level * normal(1, 1, facts.channels, frames * facts.hop_samples)
    (latents,) = running["encoder"].run(["latents"], {"waveform": waveform})
    assert latents.shape == (1, facts.latent_channels, frames)
    assert relative_l2(latents, codec.encoder(torch.from_numpy(waveform))) <= BOUND

    given = normal(2, 1, facts.latent_channels, frames) * (level > 0)
    names = [output.name for output in running["decoder"].get_outputs()]
    found = running["decoder"].run(names, {"latents": given.astype(np.float32)})
    outputs = codec.decoder(torch.from_numpy(given.astype(np.float32)))
    expected = {"waveform": outputs} if isinstance(outputs, torch.Tensor) else outputs
    assert list(expected) == names
    for name, output in zip(names, found, strict=True):
        assert output.shape == expected[name].shape
        assert relative_l2(output, expected[name]) <= BOUND or not expected[name].any()


def test_graphs_are_self_contained(opened: Opened) -> None:
    for name, graph in opened[1].items():
        check_onnx(graph.SerializeToString(), name)
        assert [axis.dim_value for axis in graph.graph.input[0].type.tensor_type.shape.dim][2] == 0  # no fixed length


def test_all_weights_are_constants(opened: Opened) -> None:
    """Weight norms are folded: what a convolution multiplies with is not computed at run time."""
    for graph in opened[1].values():
        weights = {tensor.name for tensor in graph.graph.initializer}
        convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
        assert convolutions
        assert all(node.input[1] in weights for node in convolutions)


@torch.no_grad()
@pytest.mark.parametrize("frames", [2, 3, 40])
def test_oobleck_of_the_published_strides(frames: int) -> None:
    """Every upsampling of 2, 4 and 8 falls into place, and every channel has a Snake of its own."""
    torch.manual_seed(6)
    autoencoder = AutoencoderOobleck(
        encoder_hidden_size=8, downsampling_ratios=[2, 4, 8], channel_multiples=[1, 2, 2],
        decoder_channels=4, decoder_input_channels=4,
    )  # fmt: skip
    for name, parameter in autoencoder.named_parameters():
        if name.endswith((".alpha", ".beta")):
            parameter.normal_(0, 0.5)
    codec = OobleckCodec(autoencoder.eval(), provenance="")
    waveform, latents = normal(3, 1, 2, frames * 64), normal(4, 1, 4, frames)
    (encoded,) = session(encoder_graph(codec)).run(["latents"], {"waveform": waveform})
    assert relative_l2(encoded, codec.encoder(torch.from_numpy(waveform))) <= BOUND
    (decoded,) = session(decoder_graph(codec)).run(["waveform"], {"latents": latents})
    assert relative_l2(decoded, codec.decoder(torch.from_numpy(latents))) <= BOUND


def test_oobleck_has_fast_operators_only(tmp_path: Path) -> None:
    codec = load_codec(save_small_oobleck(tmp_path, latent_channels=4))
    for graph in (encoder_graph(codec), decoder_graph(codec)):
        kinds = {node.op_type for node in graph.graph.node}
        assert kinds.isdisjoint({"ConvTranspose", "Exp", "Pow", "Reciprocal", "Shape", "Cast"})


def test_the_tables_of_the_transform_are_small(tmp_path: Path) -> None:
    codec = miniature_codec(tmp_path)
    assert isinstance(codec, SmallCodec)
    learned = sum(parameter.numel() for parameter in codec.parameters())
    stored = sum(graph(codec).ByteSize() for graph in (encoder_graph, decoder_graph))
    assert stored - 4 * learned < 2.5e6


def test_a_codec_of_another_kind_has_no_graphs() -> None:
    codec = Codec(SignalFacts(), provenance="", licence="")
    for graph in (encoder_graph, decoder_graph):
        with pytest.raises(TypeError, match="Codec has no graphs"):
            graph(codec)
