"""OpenVINO does what the bundle says, in the precision that was asked for and no other."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from samuel_runtime.engines.backend import Backend
from samuel_runtime.errors import UserError
from samuel_runtime.settings import Precision, Provider
from tests.support.runtime.onnx_models import honest

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed (extra `openvino`)")

from samuel_runtime.engines import openvino as engines_openvino  # noqa: E402
from samuel_runtime.engines.backend import Engine  # noqa: E402
from samuel_runtime.engines.loading import open_engine  # noqa: E402

SIZE = 64
RNG = np.random.default_rng(3)
WEIGHTS = RNG.standard_normal((SIZE, SIZE)).astype(np.float32)
X = RNG.standard_normal((SIZE, SIZE)).astype(np.float32)
OFFSET = 1000.25
"""Far beyond what bfloat16 resolves beside values of order one: its steps there are 4."""

needs_bf16 = pytest.mark.skipif(
    bool(engines_openvino.unavailable_reason(Precision.BF16)),
    reason=engines_openvino.unavailable_reason(Precision.BF16),
)


def _opened(model: ModelProto, precision: Precision = Precision.FP32, typed: Precision = Precision.FP32) -> Engine:
    return open_engine(
        model.SerializeToString(), "m.onnx", Backend(Provider.OPENVINO, precision), threads=1, typed=typed
    )


def _model(nodes: list[object], constants: dict[str, tuple[int, np.ndarray]]) -> ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", SIZE]) for name in ("x", "y")]
    tensors = [
        numpy_helper.from_array(array.astype(helper.tensor_dtype_to_np_dtype(kind)), name)
        for name, (kind, array) in constants.items()
    ]
    graph = helper.make_graph(nodes, "test", values[:1], values[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)


def _product() -> ModelProto:
    """y = x w w, in float32."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "w"], ["y"])]
    return _model(nodes, {"w": (TensorProto.FLOAT, WEIGHTS)})


def _with_island() -> ModelProto:
    """y = x / 2 + 0.125: between two products with the identity in bfloat16 one in float32, of values around 1000."""
    low, high = TensorProto.BFLOAT16, TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", ["x"], ["x_low"], to=low),
        helper.make_node("MatMul", ["x_low", "identity"], ["h_low"]),
        helper.make_node("Cast", ["h_low"], ["h"], to=high),
        helper.make_node("Add", ["h", "up"], ["high"]),
        helper.make_node("MatMul", ["high", "half"], ["scaled"]),
        helper.make_node("Sub", ["scaled", "back"], ["island"]),
        helper.make_node("Cast", ["island"], ["island_low"], to=low),
        helper.make_node("MatMul", ["island_low", "identity"], ["y_low"]),
        helper.make_node("Cast", ["y_low"], ["y"], to=high),
    ]
    constants = {
        "identity": (low, np.eye(SIZE, dtype=np.float32)),
        "up": (high, np.full((1, SIZE), OFFSET, np.float32)),
        "half": (high, 0.5 * np.eye(SIZE, dtype=np.float32)),
        "back": (high, np.full((1, SIZE), 500.0, np.float32)),
    }
    return _model(nodes, constants)


def _distance(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual.astype(np.float64) - expected) / np.linalg.norm(expected.astype(np.float64)))


def test_a_graph_runs_by_names() -> None:
    engine = _opened(honest())
    assert engine.backend == Backend(Provider.OPENVINO, Precision.FP32)
    outputs = engine(x=np.array([10, 20], np.float32))
    assert list(outputs) == ["y"] == list(engine.outputs)
    np.testing.assert_array_equal(outputs["y"], [11, 22])


@pytest.mark.parametrize("inputs", [{}, {"z": np.zeros(2, np.float32)}, {"x": np.zeros((3, 3, 3), np.float32)}])
def test_inputs_that_the_graph_does_not_take_are_reported(inputs: dict[str, np.ndarray]) -> None:
    engine = _opened(honest())
    for run in (engine, engine.bind):
        with pytest.raises(UserError, match=r"m\.onnx: OpenVINO failed to run it"):
            run(**inputs)


def test_float32_is_float32_on_a_processor_that_is_faster_in_less() -> None:
    expected = X.astype(np.float64) @ WEIGHTS @ WEIGHTS
    assert _distance(_opened(_product())(x=X)["y"], expected) < 1e-6


@needs_bf16
def test_lowering_lowers() -> None:
    expected = X.astype(np.float64) @ WEIGHTS @ WEIGHTS
    distance = _distance(_opened(_product(), Precision.BF16)(x=X)["y"], expected)
    print(f"two products in bfloat16: relative L2 {distance:.1e}")
    assert 1e-4 < distance < 1e-2


@needs_bf16
def test_a_typed_graph_keeps_its_float32_islands() -> None:
    small = X / np.abs(X).max()
    out = _opened(_with_island(), Precision.BF16, typed=Precision.BF16)(x=small)["y"]
    rounding = np.abs(out - (0.5 * small + 0.5 * OFFSET - 500)).max()
    assert 1e-5 < rounding < 2**-7  # of three roundings to 8 bits, not of a step of 4


def test_bound_inputs_are_written_in_place_and_outputs_are_overwritten() -> None:
    engine = _opened(_product())
    x = X.copy()
    bound = engine.bind(x=x)
    first = bound.run()["y"]
    np.testing.assert_allclose(first, engine(x=X)["y"], rtol=1e-4, atol=1e-4)
    before = first.copy()
    x *= 2
    second = bound.run()["y"]
    assert second is first
    np.testing.assert_allclose(second, 2 * before, rtol=1e-5)


def test_squared_sines_run_as_polynomials() -> None:
    """What the codec's activations are made of; OpenVINO's own sine is slow, see openvino_sines.py."""
    nodes = [helper.make_node("Sin", ["x"], ["sine"]), helper.make_node("Mul", ["sine", "sine"], ["y"])]
    engine = _opened(_model(nodes, {}))
    np.testing.assert_allclose(engine.bind(x=20 * X).run()["y"], np.sin(20 * X) ** 2, atol=1e-5)
    assert "Sin" not in {op.get_type_name() for op in engine._model.get_ops()}  # type: ignore[attr-defined]


def test_one_engine_is_bound_to_many_shapes() -> None:
    engine, expected = _opened(_product()), X @ WEIGHTS @ WEIGHTS
    for rows in (1, 2, 3, 1, 40):
        np.testing.assert_allclose(engine.bind(x=X[:rows].copy()).run()["y"], expected[:rows], rtol=1e-3, atol=1e-3)


def test_what_was_compiled_is_kept_for_the_next_window(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []

    class Counting:
        def compile_model(self, *arguments: object) -> object:
            compiled.append(arguments)
            return openvino.Core().compile_model(*arguments)

    engine = _opened(_product())
    monkeypatch.setattr(engines_openvino, "_core", Counting)
    guided, unguided = X[:4].copy(), X[:2].copy()
    for _ in range(3):  # windows of one length, each with and without guidance
        engine.bind(x=guided).run()
        engine.bind(x=unguided).run()
    assert len(compiled) == 2
    for _ in range(3):
        engine(x=guided)
        engine(x=unguided)
    assert len(compiled) == 3


def test_an_engine_that_is_dropped_gives_its_memory_back_at_once() -> None:
    engine = _opened(_product())
    engine(x=X)
    alive = weakref.ref(engine)
    gc.disable()  # a cycle would keep hundreds of megabytes until the collector comes by
    try:
        del engine
        assert alive() is None
    finally:
        gc.enable()


def test_a_model_in_another_format_is_refused(tmp_path: Path) -> None:
    """OpenVINO would take its own, which nothing has checked."""
    x = openvino.opset13.parameter([2], np.float32, name="x")
    openvino.save_model(openvino.Model([openvino.opset13.relu(x)], [x], "m"), tmp_path / "m.xml")
    content = (tmp_path / "m.xml").read_bytes()
    assert openvino.Core().read_model(content, b"").inputs  # by itself it would be taken
    with pytest.raises(UserError, match=r"m\.onnx: OpenVINO .* cannot load it"):
        open_engine(content, "m.onnx", Backend(Provider.OPENVINO, Precision.FP32))


def test_a_precision_that_the_processor_lacks_is_said_and_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

    monkeypatch.setattr(engines_openvino, "_core", Old)
    assert engines_openvino.unavailable_reason(Precision.FP32) == ""
    for precision in (Precision.FP16, Precision.BF16):
        with pytest.raises(UserError, match=f"does not compute in {precision.value}; use `precision='fp32'`"):
            _opened(_product(), precision)


def test_too_little_memory_and_defects_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = _opened(_product())

    def failing(error: Exception) -> Callable[[object], object]:
        def fail(shapes: object) -> object:
            raise error

        return fail

    monkeypatch.setattr(engine, "_compiled", failing(RuntimeError("Can not allocate 4096 bytes for the buffer")))
    with pytest.raises(UserError, match=r"^m\.onnx: there is too little memory for OpenVINO to run it; close"):
        engine(x=X)
    monkeypatch.setattr(engine, "_compiled", failing(AttributeError("ours")))
    with pytest.raises(AttributeError):
        engine(x=X)
    monkeypatch.setattr(engines_openvino, "with_polynomials", failing(KeyError("ours")))
    with pytest.raises(KeyError):
        _opened(_product())
