"""Insert the Casts that let some nodes of a float32 graph compute in another type."""

from __future__ import annotations

from collections.abc import Callable, Set

import onnx
from onnx import TensorProto, helper

from samuel_export.precision.dataflow import SHAPE_OPERATORS, Dataflow

ConvertWeight = Callable[[onnx.TensorProto, str], onnx.TensorProto]
"""A float32 tensor and a name -> the tensor of that name in the other type."""


def insert_casts(
    model: onnx.ModelProto, dataflow: Dataflow, low_nodes: Set[int], element_type: int, convert_weight: ConvertWeight
) -> None:
    """Change the type of some nodes and of the values that they compute, in place.

    A value is cast once at most; a weight is converted instead.

    Args:
        model: float32, without subgraphs; its inputs and outputs keep their types.
        dataflow: of ``model``.
        low_nodes: indices of the nodes in the graph.
        element_type: of :class:`onnx.TensorProto`.
        convert_weight: converts a weight to it.
    """
    inserter = _CastInserter(dataflow, {value.name for value in model.graph.output}, element_type, convert_weight)
    for index, node in enumerate(model.graph.node):
        inserter.add(node, index in low_nodes)
    others = [tensor for tensor in model.graph.initializer if tensor.name not in dataflow.weights]
    nodes, weights = inserter.nodes, inserter.weights
    del model.graph.node[:], model.graph.initializer[:], model.graph.value_info[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([*others, *weights])


class _CastInserter:
    def __init__(self, dataflow: Dataflow, outputs: set[str], element_type: int, convert_weight: ConvertWeight) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._dataflow, self._outputs, self._convert_weight = dataflow, outputs, convert_weight
        self._types = {False: TensorProto.FLOAT, True: element_type}
        self._suffix = f"_{TensorProto.DataType.Name(element_type).lower()}"
        # The name that a value of the original graph has in float32 (False) and in the other type (True).
        self._names: dict[bool, dict[str, str]] = {False: {}, True: {}}
        self._made_low: set[str] = set()

    def add(self, original: onnx.NodeProto, low: bool) -> None:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        for place, value in enumerate(node.input):
            if value in self._dataflow.values:
                wanted = low if node.op_type not in SHAPE_OPERATORS else value in self._made_low
                node.input[place] = self._name(value, wanted)
        self.nodes.append(node)
        for place, value in enumerate(node.output):
            if value not in self._dataflow.values:
                continue
            node.output[place] = self._names[low][value] = self._named(value, low)
            if low:
                self._made_low.add(value)
                if value in self._outputs:
                    self._name(value, low=False)

    def _name(self, value: str, low: bool) -> str:
        """The value in this type, made when it is first asked for."""
        known, name = self._names[low], self._named(value, low)
        if value in known:
            return known[value]
        if value in self._dataflow.weights:
            tensor = self._dataflow.weights[value]
            self.weights.append(self._convert_weight(tensor, name) if low else tensor)
        elif low or value in self._made_low:
            self.nodes.append(helper.make_node("Cast", [self._name(value, not low)], [name], to=self._types[low]))
        # else: an input of the graph, which is float32 and keeps its name
        known[value] = name
        return name

    def _named(self, value: str, low: bool) -> str:
        return f"{value}{self._suffix}" if low else value
