"""Dependencies between the nodes of a graph along its float32 values; shapes and indices carry no arithmetic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import onnx
from onnx import TensorProto, shape_inference

SHAPE_OPERATORS = frozenset({"Shape", "Size"})
"""They read the shape of a value of any type, not its contents."""


class Dataflow:
    """The float32 edges of a model without subgraphs; a node is its index in topological order."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Infer the types of all values.

        Raises:
            onnx.shape_inference.InferenceError: the model is malformed.
        """
        graph = shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
        known = [*graph.input, *graph.output, *graph.value_info]
        self.weights = {t.name: t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}
        """Initialisers by name."""
        computed = {value.name for value in known if value.type.tensor_type.elem_type == TensorProto.FLOAT}
        self.values = computed | set(self.weights)
        """Names of all float32 values."""
        computed -= set(self.weights)
        self.inputs = [
            [v for v in node.input if v in computed] if node.op_type not in SHAPE_OPERATORS else []
            for node in graph.node
        ]
        """Computed values whose contents each node reads."""
        self.outputs = [[v for v in node.output if v in computed] for node in graph.node]
        """float32 values that each node makes."""
        readers: dict[str, list[int]] = defaultdict(list)
        for index, names in enumerate(self.inputs):
            for name in names:
                readers[name].append(index)
        self.readers = dict(readers)
        """Nodes that read each computed value."""

    def descendants(self, nodes: Iterable[int]) -> set[int]:
        """Nodes that depend on these, as in networkx."""
        changed = {value for index in nodes for value in self.outputs[index]}
        found = set()
        for index, inputs in enumerate(self.inputs):
            if not changed.isdisjoint(inputs):
                found.add(index)
                changed.update(self.outputs[index])
        return found

    def ancestors(self, nodes: Iterable[int]) -> set[int]:
        """Nodes that these depend on, as in networkx."""
        wanted = {value for index in nodes for value in self.inputs[index]}
        found = set()
        for index in reversed(range(len(self.outputs))):
            if not wanted.isdisjoint(self.outputs[index]):
                found.add(index)
                wanted.update(self.inputs[index])
        return found
