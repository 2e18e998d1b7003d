"""Write an ONNX graph node by node: a thin layer over `onnx.helper` that names things and keeps weights.

The denoiser's graphs are written, not traced: a tracer of dynamic shapes leaves hundreds of shape nodes, and has
been seen to fix an axis to its traced size without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 23
"""The first operator set with Attention and RotaryEmbedding."""
_IR_VERSION = 11

EXACT = "_exact"
"""Suffix of constants that stay float32 in every file."""

Axis = int | str
"""A size, or the name of an axis that varies."""


class GraphBuilder:
    """Collects nodes; a value is the name (str) that a node gave its output."""

    def __init__(self, name: str) -> None:
        self._name, self._prefix = name, ""
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    @classmethod
    def extending(cls, model: onnx.ModelProto, prefix: str) -> GraphBuilder:
        """Begin with a graph's nodes, weights and inputs; its outputs become values to go on from.

        Args:
            model: of this operator set.
            prefix: of the names that are new.
        """
        builder = cls(model.graph.name)
        builder._prefix = prefix
        builder._nodes, builder._weights = list(model.graph.node), list(model.graph.initializer)
        builder._inputs = list(model.graph.input)
        return builder

    def input(self, name: str, shape: Sequence[Axis], dtype: int = TensorProto.FLOAT) -> str:
        """Declare a graph input."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return name

    def output(self, name: str, value: str, shape: Sequence[Axis], dtype: int = TensorProto.FLOAT) -> None:
        """Declare ``value`` a graph output of this name."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))

    def weight(self, array: np.ndarray) -> str:
        """A constant; floating point arrays are stored as float32."""
        array = np.asarray(array)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        return self._constant(array, f"{self._prefix}w{len(self._weights)}")

    def exact(self, array: np.ndarray) -> str:
        """A constant that stays float32 where a file's weights are kept in half precision, such as a transform's."""
        return self._constant(np.asarray(array, np.float32), f"{self._prefix}w{len(self._weights)}{EXACT}")

    def _constant(self, array: np.ndarray, name: str) -> str:
        self._weights.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def ints(self, *values: int) -> str:
        """A constant int64 vector: shapes, axes, sizes."""
        return self.weight(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; an input "" is an optional one left out."""
        return self.split_op(kind, 1, *inputs, **attributes)[0]

    def split_op(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with ``count`` outputs."""
        stem = f"{self._prefix}{kind.lower()}{len(self._nodes)}"
        names = [stem] if count == 1 else [f"{stem}_{i}" for i in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def build(self) -> onnx.ModelProto:
        """The checked model.

        Raises:
            onnx.checker.ValidationError: if the graph is malformed.
        """
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._weights)
        model = helper.make_model(
            graph, producer_name="samuel", ir_version=_IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
        )
        onnx.checker.check_model(model, full_check=True)
        return model
