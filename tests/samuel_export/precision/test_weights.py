"""Weights in half precision or eight bits: smaller files, float32 arithmetic, small tensors exact."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from samuel_export.graphs.builder import GraphBuilder
from samuel_export.graphs.denoiser import step_graph
from samuel_export.graphs.small_codec import encoder_graph
from samuel_export.precision import weights
from samuel_export.precision.weights import WeightFormat, pack_weights, unpack_weights
from samuel_runtime.bundle.manifest import GraphName
from samuel_train.codec.model.small import SmallCodec
from samuel_train.model.config import Alignment
from tests.support.export.sessions import DenoiserGraphs, Sessions, run, session
from tests.support.miniature import CODEC_CONFIG, miniature_model
from tests.support.weights import normal, relative_l2

WEIGHT, BIAS = normal(1, 64, 64, 1, 3), normal(2, 64)


def convolution(weight: np.ndarray = WEIGHT) -> onnx.ModelProto:
    g = GraphBuilder("one")
    x = g.input("x", ["batch", 64, 1, "frames"])
    g.output("y", g.op("Conv", x, g.weight(weight), g.weight(BIAS), pads=[0, 1, 0, 1]), ["batch", 64, 1, "frames"])
    return g.build()


def initializers(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def test_fp32_is_the_model_itself() -> None:
    model = convolution()
    assert pack_weights(model, WeightFormat.FP32) is model


def test_fp16_halves_the_file_and_keeps_the_result() -> None:
    model = convolution()
    before = model.SerializeToString()
    half = pack_weights(model, WeightFormat.FP16)
    assert model.SerializeToString() == before  # the original is not touched
    assert half.ByteSize() < 0.53 * model.ByteSize()
    x = normal(3, 2, 64, 1, 9)
    exact, got = run(session(model), x=x)["y"], run(session(half), x=x)["y"]
    assert 1e-5 < relative_l2(got, exact) < 5e-3
    assert got.dtype == np.float32


def test_small_tensors_stay_exact() -> None:
    kept = initializers(pack_weights(convolution(), WeightFormat.FP16))
    assert np.array_equal(next(array for array in kept.values() if array.shape == (64,)), BIAS)
    assert {array.dtype.name for array in kept.values()} == {"float16", "float32"}


def test_tables_of_transforms_stay_exact() -> None:
    weights = initializers(pack_weights(encoder_graph(SmallCodec(CODEC_CONFIG)), WeightFormat.FP16))
    turned = next(array for array in weights.values() if array.shape == (64, 2, 32, 32))  # (column, part, row, k1)
    assert turned.dtype == np.float32
    phase = 2 * np.pi * (64 * 5 + 3) * 7 / 2048
    assert turned[3, 0, 5, 7] == pytest.approx(np.cos(phase), abs=1e-7)
    assert any(array.dtype == np.float16 for array in weights.values())


def test_what_half_precision_cannot_hold_stays() -> None:
    huge = WEIGHT.copy()
    huge[0, 0, 0, 0] = 1e6
    assert {
        array.dtype.name for array in initializers(pack_weights(convolution(huge), WeightFormat.FP16)).values()
    } == {"float32"}


def test_arithmetic_stays_float32() -> None:
    """Half-precision tensors go into a Cast to float32 and nowhere else."""
    model = pack_weights(step_graph(miniature_model()), WeightFormat.FP16)
    onnx.checker.check_model(model, full_check=True)
    graph = model.graph
    halves = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    assert halves
    for node in graph.node:
        if halves & set(node.input):
            assert node.op_type == "Cast"
            assert node.attribute[0].i == TensorProto.FLOAT
    floats = (value.type.tensor_type.elem_type for value in [*graph.input, *graph.output])
    assert set(floats) == {TensorProto.FLOAT}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight bits for weights of any size, as the large ones of a true network have."""
    monkeypatch.setattr(weights, "_SMALLEST_IN_BLOCKS", 0)


@pytest.mark.usefixtures("small_blocks")
def test_int8_quarters_the_file_and_is_off_by_half_a_step_of_each_block() -> None:
    weight = WEIGHT * np.geomspace(1e-3, 1e3, 64)[:, None, None, None].astype(np.float32)  # every channel has a scale
    model = convolution(weight)
    small = pack_weights(model, WeightFormat.INT8)
    onnx.checker.check_model(small, full_check=True)
    assert small.ByteSize() < 0.3 * model.ByteSize()
    found = next(a for a in initializers(unpack_weights(small)).values() if a.shape == weight.shape)
    blocks, off = weight.reshape(-1, 32), np.abs(found - weight).reshape(-1, 32)
    largest = np.abs(blocks).max(axis=1, keepdims=True)
    assert (off <= 0.501 * largest / 127 + 5e-4 * np.abs(blocks)).all()
    assert relative_l2(found, weight) > 1e-3
    x = normal(3, 2, 64, 1, 9)
    np.testing.assert_array_equal(run(session(small), x=x)["y"], run(session(convolution(found)), x=x)["y"])


@pytest.mark.usefixtures("small_blocks")
def test_blocks_of_zeros_and_of_what_half_precision_calls_zero_are_zero() -> None:
    weight = WEIGHT.copy()
    weight[0], weight[1] = 0, 1e-7
    found = initializers(unpack_weights(pack_weights(convolution(weight), WeightFormat.INT8)))
    unpacked = next(a for a in found.values() if a.shape == weight.shape)
    assert np.array_equal(unpacked[:2], np.zeros_like(unpacked[:2])) and unpacked[2:].any()


@pytest.mark.usefixtures("small_blocks")
def test_what_no_blocks_of_32_fill_is_kept_in_half_precision() -> None:
    g = GraphBuilder("one")
    g.output("y", g.op("MatMul", g.input("x", ["batch", 43]), g.weight(normal(1, 43, 43))), ["batch", 43])
    kept = initializers(pack_weights(g.build(), WeightFormat.INT8))
    assert {array.dtype.name for array in kept.values()} == {"float16"}


def test_the_small_weights_of_a_step_keep_half_precision() -> None:
    for channels, name in ((256, "float16"), (384, "int8")):
        g = GraphBuilder("one")
        weight = g.weight(normal(1, channels, channels))
        g.output("y", g.op("MatMul", g.input("x", ["batch", channels]), weight), ["batch", channels])
        kept = initializers(pack_weights(g.build(), WeightFormat.INT8))
        assert max(kept.values(), key=np.size).dtype == name


def test_int8_is_for_the_step_alone() -> None:
    formats = {name: WeightFormat.INT8.of_graph(name) for name in GraphName}
    assert formats.pop(GraphName.STEP) is WeightFormat.INT8
    assert set(formats.values()) == {WeightFormat.FP16}
    assert WeightFormat.FP32.of_graph(GraphName.STEP) is WeightFormat.FP32


@pytest.mark.parametrize("variant", list(Alignment))
def test_a_denoiser_kept_in_fp16(variant: Alignment) -> None:
    graphs = DenoiserGraphs.of(miniature_model(variant))
    halves = DenoiserGraphs(*(pack_weights(graph, WeightFormat.FP16) for graph in vars(graphs).values()))
    assert halves.step.ByteSize() < 0.6 * graphs.step.ByteSize()  # the miniature is half node names
    x, vocals = normal(1, 1, 64, 72), normal(2, 1, 64, 72)
    results = []
    for running in (Sessions(graphs), Sessions(halves)):
        results.append(running.step(x, [300], [3.0, -2.0], running.memory(vocals)))
    assert 1e-5 < relative_l2(results[1], results[0]) < 5e-3


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("variant", list(Alignment))
def test_eight_bits_are_unpacked_to_the_graph_that_they_came_from(variant: Alignment) -> None:
    model = step_graph(miniature_model(variant))
    whole = unpack_weights(pack_weights(model, WeightFormat.INT8))
    onnx.checker.check_model(whole, full_check=True)
    assert list(whole.graph.node) == list(model.graph.node)
    exact, found = initializers(model), initializers(whole)
    assert found.keys() == exact.keys()
    differing = [name for name in exact if not np.array_equal(exact[name], found[name])]
    assert len(differing) > 10
    assert max(relative_l2(found[name], exact[name]) for name in differing) < 0.01


@pytest.mark.parametrize("variant", list(Alignment))
def test_what_is_unpacked_is_what_was_stored_rounded(variant: Alignment) -> None:
    model = step_graph(miniature_model(variant))
    half = pack_weights(model, WeightFormat.FP16)
    before = half.SerializeToString()
    whole = unpack_weights(half)
    assert half.SerializeToString() == before  # the original is not touched
    onnx.checker.check_model(whole, full_check=True)
    assert list(whole.graph.node) == list(model.graph.node)
    exact, found = initializers(model), initializers(whole)
    assert found.keys() == exact.keys()
    packed = {name for name in initializers(half) if name.endswith("_fp16")}
    for name, array in found.items():
        rounded = exact[name].astype(np.float16) if f"{name}_fp16" in packed else exact[name]
        assert array.dtype == exact[name].dtype
        np.testing.assert_array_equal(array, rounded.astype(exact[name].dtype))
    assert len(packed) > 10


def test_a_model_with_nothing_to_unpack_stays_as_it_is() -> None:
    model = convolution()
    assert unpack_weights(model) == model


def test_only_what_is_cast_to_float32_is_unpacked() -> None:
    """A half that other nodes read stays for them, one cast to something else stays for its Cast."""
    halves = {name: numpy_helper.from_array(np.arange(4, dtype=np.float16), name) for name in ("both", "double")}
    nodes = [
        helper.make_node("Cast", ["both"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["both", "both"], ["twice"]),
        helper.make_node("Cast", ["twice"], ["twice_wide"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["double"], ["doubled"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["doubled"], ["doubled_wide"], to=TensorProto.FLOAT),
        helper.make_node("Sum", ["x", "wide", "twice_wide", "doubled_wide"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "mixed", ends[:1], ends[1:], list(halves.values()))
    mixed = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=11)
    whole = unpack_weights(mixed)
    onnx.checker.check_model(whole, full_check=True)
    assert {name: array.dtype.name for name, array in initializers(whole).items()} == {
        "wide": "float32", "both": "float16", "double": "float16",
    }  # fmt: skip
    given = np.ones(4, np.float32)
    np.testing.assert_array_equal(run(session(whole), x=given)["y"], 4 * np.arange(4) + 1)
