"""Squared sines as polynomials, in the one backend that is slow at sines."""

from __future__ import annotations

import numpy as np
import pytest

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'samuel-deploy[openvino]'")
op = openvino.opset13

from samuel_runtime.engines.openvino_sines import with_polynomials  # noqa: E402


def computed(model: object, x: np.ndarray) -> np.ndarray:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(x)[0]


@pytest.mark.parametrize("widest", [1.0, 30.0])
def test_equals_the_squared_sine(widest: float) -> None:
    x = np.linspace(-widest, widest, 40001, dtype=np.float32)
    parameter = op.parameter([-1], np.float32)
    sine = op.sin(parameter)
    model = openvino.Model([op.multiply(sine, sine)], [parameter])
    assert with_polynomials(model) == 1
    assert "Sin" not in [node.get_type_name() for node in model.get_ordered_ops()]
    # x itself is only known to widest * 2^-24
    assert np.abs(computed(model, x) - np.sin(x.astype(np.float64)) ** 2).max() < 2e-7 + widest * 2**-23


def test_other_sines_stay() -> None:
    parameter = op.parameter([-1], np.float32)
    sine, cosine = op.sin(parameter), op.cos(parameter)
    model = openvino.Model([op.multiply(sine, cosine), op.add(sine, sine)], [parameter])
    assert with_polynomials(model) == 0
    assert "Sin" in [node.get_type_name() for node in model.get_ordered_ops()]


def test_a_sine_that_others_read_too_stays_for_them() -> None:
    x = np.linspace(-3, 3, 101, dtype=np.float32)
    parameter = op.parameter([-1], np.float32)
    sine = op.sin(parameter)
    model = openvino.Model([op.add(op.multiply(sine, sine), sine)], [parameter])
    assert with_polynomials(model) == 1
    assert np.abs(computed(model, x) - (np.sin(x) ** 2 + np.sin(x))).max() < 1e-6


def test_a_typed_graph_keeps_its_types() -> None:
    parameter = op.parameter([-1], np.float32)
    sine = op.sin(op.convert(parameter, openvino.Type.bf16))
    square = op.multiply(sine, sine)
    model = openvino.Model([op.convert(square, openvino.Type.f32)], [parameter])
    assert with_polynomials(model) == 1
    x = np.linspace(-3, 3, 101, dtype=np.float32)
    assert np.abs(computed(model, x) - np.sin(x) ** 2).max() < 0.02  # bfloat16 has 8 bits
