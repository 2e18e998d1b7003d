"""Squared sines for OpenVINO: it computes Sin one number at a time, and copies its argument out of the processor's
blocked layout and back for it. The activations of Stable Audio Open's codec, x + sin^2(alpha x) / beta, cost a quarter
of its decoder in float32 so, and half of it in bfloat16. As a polynomial they are compiled into one fast kernel.

    sin^2(x) = sin^2(pi r),  r = x / pi - round(x / pi) in [-1/2, 1/2],  an even function: r^2 times a polynomial of r^2
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from samuel_runtime.engines.offline import import_openvino

openvino, op = import_openvino(), import_openvino("openvino.opset13")

_DEGREE = 5  # within 1e-7 of sin^2, as float32 itself; with 4 it would be 2e-6


def with_polynomials(model: Any) -> int:
    """Replace every product of a sine with itself by a polynomial, computed in float32; how many there were.

    Args:
        model: OpenVINO's; is changed in place; its other sines stay.
    """
    replaced = 0
    for product in model.get_ordered_ops():
        if product.get_type_name() != "Multiply":
            continue
        first, second = (product.input_value(place) for place in (0, 1))
        if first == second and first.get_node().get_type_name() == "Sin":
            square = _squared_sine(first.get_node().input_value(0))
            for reader in product.output(0).get_target_inputs():
                reader.replace_source_output(square.output(0))
            replaced += 1
    if replaced:
        model.validate_nodes_and_infer_types()
    return replaced


def _squared_sine(x: Any) -> Any:
    """A node that computes sin^2 of an output, in the output's type."""
    element_type = x.get_element_type()
    if element_type != openvino.Type.f32:
        x = op.convert(x, openvino.Type.f32)
    turns = op.multiply(x, np.float32(1 / np.pi))
    rest = op.subtract(turns, op.round(turns, "half_to_even"))
    square = op.multiply(rest, rest)
    *lower, highest = _coefficients()
    value = op.constant(highest)
    for coefficient in reversed(lower):
        value = op.add(op.multiply(square, value), coefficient)
    value = op.multiply(square, value)
    return value if element_type == openvino.Type.f32 else op.convert(value, element_type)


def _coefficients() -> list[np.float32]:
    """Of sin^2(pi r) / r^2 as a polynomial of r^2 on [0, 1/4], lowest power first: equal to it at Chebyshev's nodes."""
    at_nodes = Chebyshev.interpolate(lambda square: np.sin(np.pi * np.sqrt(square)) ** 2 / square, _DEGREE, [0, 0.25])
    return [np.float32(value) for value in at_nodes.convert(kind=Polynomial).coef]
