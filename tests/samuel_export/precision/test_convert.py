"""Low-precision graphs: what is low, what stays float32, how few Casts that takes, and what it costs in accuracy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper

from samuel_export.graphs.builder import GraphBuilder
from samuel_export.graphs.codec import decoder_graph, encoder_graph
from samuel_export.precision.convert import convert_precision
from samuel_runtime.settings import Precision
from samuel_train.codec import load_codec
from samuel_train.model.config import Alignment
from tests.support.export.rounded import elements, rounded
from tests.support.export.sessions import DenoiserGraphs, Sessions, run, session
from tests.support.export.small_oobleck import HOP, save_small_oobleck
from tests.support.miniature import miniature_model
from tests.support.weights import normal, relative_l2

LOW = {Precision.FP16: TensorProto.FLOAT16, Precision.BF16: TensorProto.BFLOAT16}
PRECISIONS = list(LOW)
PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "Attention"}
DELICATE = {
    "InstanceNormalization",
    "LayerNormalization",
    "ReduceMean",
    "ReduceSum",
    "Log",
    "Exp",
    "Clip",
    "Cos",
    "Sin",
}
ERROR = {Precision.FP16: (1e-4, 5e-3), Precision.BF16: (1e-3, 4e-2)}


@pytest.fixture(scope="module")
def graphs(bundle: Path) -> dict[str, onnx.ModelProto]:
    denoiser = vars(DenoiserGraphs.of(miniature_model()))
    return {**denoiser, **{half: onnx.load(bundle / f"{half}.onnx") for half in ("encoder", "decoder")}}


@pytest.fixture(scope="module", params=["conditioning", "step", "encoder", "decoder"])
def graph(request: pytest.FixtureRequest, graphs: dict[str, onnx.ModelProto]) -> onnx.ModelProto:
    return graphs[request.param]


def test_fp32_is_the_model_itself(graph: onnx.ModelProto) -> None:
    assert convert_precision(graph, Precision.FP32) is graph


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inputs_and_outputs_stay_as_they_are(graph: onnx.ModelProto, precision: Precision) -> None:
    before = graph.SerializeToString()
    low = convert_precision(graph, precision)
    assert graph.SerializeToString() == before  # the original is not touched
    for ends in ("input", "output"):
        assert [*getattr(low.graph, ends)] == [*getattr(graph.graph, ends)]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_low_and_what_is_not(graph: onnx.ModelProto, precision: Precision) -> None:
    low = convert_precision(graph, precision)
    types, count = elements(low), Counter[str]()
    for node in low.graph.node:
        found = {types[name] for name in (*node.input[:1], *node.output) if name}
        if node.op_type in DELICATE:
            assert found == {TensorProto.FLOAT}, node.op_type
        elif node.op_type in PRODUCTS and found == {LOW[precision]}:
            count["low"] += 1
        elif node.op_type in PRODUCTS:
            count["exact"] += 1
    # The two factors of the encoder's Fourier transform, and the transform of its long windows.
    assert count["exact"] == (3 if graph.graph.name == "encoder" else 0)
    assert count["low"] >= 2


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_cast_too_many(graph: onnx.ModelProto, precision: Precision) -> None:
    low = convert_precision(graph, precision)
    types, nodes = elements(low), low.graph.node
    made = {name: node.op_type for node in nodes for name in node.output}
    weights = {tensor.name for tensor in low.graph.initializer}
    casts = [node for node in nodes if node.op_type == "Cast" and types[node.input[0]] != TensorProto.INT64]
    assert len({(node.input[0], node.attribute[0].i) for node in casts}) == len(casts), "the same Cast twice"
    for node in casts:
        assert made.get(node.input[0]) != "Cast", "a Cast of a Cast"
        assert node.input[0] not in weights, "a Cast of a weight"
        assert any(node.output[0] in reader.input for reader in nodes), "a Cast that nobody reads"
    # Around each norm or mean one up and one down; one for each input; sine and cosine; the few that are left.
    islands = sum(node.op_type in ("InstanceNormalization", "LayerNormalization", "ReduceMean") for node in nodes)
    assert len(casts) <= 2 * islands + len(low.graph.input) + 8


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_are_kept_in_the_type_and_all_finite(graphs: dict[str, onnx.ModelProto], precision: Precision) -> None:
    low = convert_precision(graphs["step"], precision)
    assert low.ByteSize() < 0.6 * graphs["step"].ByteSize()  # the miniature is half node names
    for tensor in low.graph.initializer:
        assert np.isfinite(numpy_helper.to_array(tensor).astype(np.float64)).all(), tensor.name


@pytest.mark.parametrize("precision", PRECISIONS)
def test_softmax_is_float32(graphs: dict[str, onnx.ModelProto], precision: Precision) -> None:
    nodes = [node for node in convert_precision(graphs["step"], precision).graph.node if node.op_type == "Attention"]
    assert len(nodes) == 4
    for node in nodes:
        assert {a.name: a.i for a in node.attribute}["softmax_precision"] == TensorProto.FLOAT


def executable(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """ONNX Runtime's CPU provider computes in fp16, but not in bf16."""
    return model if precision is Precision.FP16 else rounded(model, LOW[precision])


@pytest.fixture
def unoptimised(monkeypatch: pytest.MonkeyPatch) -> None:
    options = onnxruntime.SessionOptions

    def plain() -> onnxruntime.SessionOptions:
        made = options()
        made.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return made

    monkeypatch.setattr(onnxruntime, "SessionOptions", plain)


@pytest.mark.usefixtures("unoptimised")
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("variant", list(Alignment))
def test_a_step_is_off_by_the_rounding_alone(variant: Alignment, precision: Precision) -> None:
    exact = DenoiserGraphs.of(miniature_model(variant))
    low = DenoiserGraphs(
        *(executable(convert_precision(graph, precision), precision) for graph in vars(exact).values())
    )
    x, vocals = normal(1, 1, 64, 72), normal(2, 1, 64, 72)
    results = []
    for running in (Sessions(exact), Sessions(low)):
        results.append(running.step(x, [300], [3.0, -2.0], running.memory(vocals)))
    least, most = ERROR[precision]
    assert least < relative_l2(results[1], results[0]) < most


@pytest.mark.usefixtures("unoptimised")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_codec_hears_a_whisper(graphs: dict[str, onnx.ModelProto], precision: Precision) -> None:
    """80 dB below full scale, where the squares that the encoder takes are beneath what fp16 can hold."""
    time_s = np.arange(16 * 2048) / 44100
    tone = 1e-4 * np.sin(2 * np.pi * np.array([[220.0], [331.0]]) * time_s)[None].astype(np.float32)
    latents = run(session(graphs["encoder"]), waveform=tone)["latents"]
    predictions = run(session(graphs["decoder"]), latents=latents)
    low = {half: executable(convert_precision(graphs[half], precision), precision) for half in ("encoder", "decoder")}
    most = ERROR[precision][1]
    assert relative_l2(run(session(low["encoder"]), waveform=tone)["latents"], latents) < most
    found = run(session(low["decoder"]), latents=latents)
    assert all(relative_l2(found[name], predictions[name]) < most for name in ("partial_levels", "mid_levels"))


@pytest.mark.usefixtures("unoptimised")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_oobleck_is_low_throughout(tmp_path: Path, precision: Precision) -> None:
    """It has neither norms nor spectra; its Snake activations are low as well."""
    codec = load_codec(save_small_oobleck(tmp_path, latent_channels=4))
    for graph, given in ((encoder_graph(codec), {"waveform": 0.1 * normal(1, 1, 2, 4 * HOP)}),
                         (decoder_graph(codec), {"latents": normal(2, 1, 4, 4)})):  # fmt: skip
        low = convert_precision(graph, precision)
        assert [node.op_type for node in low.graph.node].count("Cast") == 2
        (expected,), (found,) = (run(session(m), **given).values() for m in (graph, executable(low, precision)))
        least, most = ERROR[precision]
        assert least < relative_l2(found, expected) < most


def one_product(weight: np.ndarray, factor: float = 1.0) -> onnx.ModelProto:
    """Two convolutions with a multiplication between them."""
    g = GraphBuilder("one")
    x = g.input("x", ["batch", 4, 1, "frames"])
    h = g.op("Mul", g.op("Conv", x, g.weight(weight)), g.weight(np.array(factor)))
    g.output("y", g.op("Conv", h, g.weight(normal(2, 4, 4, 1, 1))), ["batch", 4, 1, "frames"])
    return g.build()


def exact_nodes(model: onnx.ModelProto) -> list[str]:
    types = elements(model)
    return [n.op_type for n in model.graph.node if n.op_type != "Cast" and types[n.output[0]] == TensorProto.FLOAT]


@pytest.mark.parametrize(
    ("weight", "factor", "kept"),
    [(1.0, 1.0, []), (1e6, 1.0, ["Conv", "Mul"]), (1.0, 1e-9, ["Mul"]), (1e-9, 1.0, []), (1.0, 0.0, [])],
)
def test_what_fp16_cannot_hold_stays_float32(weight: float, factor: float, kept: list[str]) -> None:
    """Too large, or a single number that would vanish; small values in a larger weight may. bf16 holds them all."""
    values = normal(1, 4, 4, 1, 1)
    values[0, 0] = weight
    output = ["Identity"]
    assert exact_nodes(convert_precision(one_product(values, factor), Precision.FP16)) == kept + output
    assert exact_nodes(convert_precision(one_product(values, factor), Precision.BF16)) == output


def test_a_weight_beyond_fp16_does_not_overflow() -> None:
    values, x = normal(1, 4, 4, 1, 1), 1e-3 * normal(3, 1, 4, 1, 9)
    values[0, 0] = 1e6
    expected = run(session(one_product(values)), x=x)["y"]
    assert relative_l2(run(session(convert_precision(one_product(values), Precision.FP16)), x=x)["y"], expected) < 5e-3


def test_masks_end_at_the_largest_number(graphs: dict[str, onnx.ModelProto]) -> None:
    low = convert_precision(graphs["step"], Precision.FP16)
    weights = [numpy_helper.to_array(tensor) for tensor in low.graph.initializer]
    masks = [array for array in weights if array.dtype == np.float16 and array.min(initial=0) == -65504]
    assert [mask.shape for mask in masks] == [(16, 32), (16, 32)]


def test_bf16_rounds_as_pytorch_does() -> None:
    weight = np.concatenate([normal(1, 14), [1 + 2**-8, 1 + 3 * 2**-8]]).astype(np.float32).reshape(4, 4, 1, 1)  # ties
    low = convert_precision(one_product(weight), Precision.BF16)
    found = next(
        t for t in low.graph.initializer if np.allclose(numpy_helper.to_array(t).astype(np.float32), weight, 0.01)
    )
    expected = torch.from_numpy(weight).bfloat16().float().numpy()
    assert np.array_equal(numpy_helper.to_array(found).astype(np.float32), expected)
