"""Small ONNX models, honest and not."""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import TensorProto, helper

VECTOR = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]


def honest() -> onnx.ModelProto:
    """y = x + w."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", VECTOR[:1], VECTOR[1:], [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def elsewhere(name: str = "w") -> onnx.TensorProto:
    """A tensor whose values lie in a file outside the bundle."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    return tensor


def _external_weights() -> onnx.ModelProto:
    model = honest()
    model.graph.initializer[0].CopyFrom(elsewhere())
    return model


def _external_without_location() -> onnx.ModelProto:
    model = honest()
    model.graph.initializer[0].external_data.add(key="location", value="weights.bin")
    return model


def _external_attribute() -> onnx.ModelProto:
    model = honest()
    model.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=elsewhere("c")))
    return model


def _external_attribute_list() -> onnx.ModelProto:
    model = honest()
    attribute = onnx.AttributeProto(name="values", type=onnx.AttributeProto.TENSORS)
    attribute.tensors.append(elsewhere("c"))
    model.graph.node[0].attribute.append(attribute)
    return model


def branch(node: onnx.NodeProto, weights: list[onnx.TensorProto]) -> onnx.GraphProto:
    """A graph without inputs, as `If` takes it."""
    return helper.make_graph([node], "branch", [], [VECTOR[1]], weights)


def _branching(inner: onnx.GraphProto) -> onnx.ModelProto:
    model = honest()
    model.graph.node.append(helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))
    return model


def _external_subgraph() -> onnx.ModelProto:
    return _branching(branch(helper.make_node("Identity", ["w"], ["y"]), [elsewhere()]))


def _external_sparse() -> onnx.ModelProto:
    model = honest()
    sparse = onnx.SparseTensorProto(dims=[2])
    sparse.values.CopyFrom(elsewhere("v"))
    model.graph.sparse_initializer.append(sparse)
    return model


def _external_sparse_indices() -> onnx.ModelProto:
    model = honest()
    sparse = onnx.SparseTensorProto(dims=[2])
    sparse.values.CopyFrom(helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]))
    sparse.indices.CopyFrom(elsewhere("i"))
    node = helper.make_node("Constant", [], ["c"])
    node.attribute.append(onnx.AttributeProto(name="sparse_value", sparse_tensor=sparse))
    model.graph.node.insert(0, node)
    return model


def _external_training() -> onnx.ModelProto:
    model = honest()
    model.training_info.add().algorithm.initializer.append(elsewhere())
    return model


def _function(node: onnx.NodeProto, domain: str = "") -> onnx.ModelProto:
    model = honest()
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function(domain, "F", ["a"], ["b"], [node], opsets))
    return model


def _external_function() -> onnx.ModelProto:
    return _function(helper.make_node("Constant", [], ["b"], value=elsewhere("b")))


def _external_function_default() -> onnx.ModelProto:
    model = _function(helper.make_node("Identity", ["a"], ["b"]))
    model.functions[0].attribute_proto.append(onnx.AttributeProto(name="c", t=elsewhere("c")))
    return model


_FOREIGN = helper.make_node("RunAnything", ["x"], ["y"], domain="org.example")


def _foreign_node() -> onnx.ModelProto:
    model = honest()
    model.graph.node.append(_FOREIGN)
    return model


def _foreign_opset() -> onnx.ModelProto:
    model = honest()
    model.opset_import.append(helper.make_opsetid("org.example", 1))
    return model


def _foreign_subgraph() -> onnx.ModelProto:
    return _branching(branch(_FOREIGN, []))


def _foreign_in_function() -> onnx.ModelProto:
    return _function(_FOREIGN)


def _foreign_function() -> onnx.ModelProto:
    return _function(helper.make_node("Identity", ["a"], ["b"]), domain="org.example")


def _compiled_elsewhere() -> onnx.ModelProto:
    model = honest()
    model.graph.node.append(
        helper.make_node("EPContext", ["x"], ["z"], domain="com.microsoft", embed_mode=0, ep_cache_context="a.engine")
    )
    return model


HOSTILE: dict[str, Callable[[], onnx.ModelProto]] = {
    "external weights": _external_weights,
    "external weights without the location flag": _external_without_location,
    "external attribute": _external_attribute,
    "external attribute list": _external_attribute_list,
    "external weights in a subgraph": _external_subgraph,
    "external sparse values": _external_sparse,
    "external sparse indices": _external_sparse_indices,
    "external training weights": _external_training,
    "external constant in a function": _external_function,
    "external default of a function": _external_function_default,
    "foreign operator": _foreign_node,
    "foreign operator set": _foreign_opset,
    "foreign operator in a subgraph": _foreign_subgraph,
    "foreign operator in a function": _foreign_in_function,
    "function of a foreign domain": _foreign_function,
    "code compiled for a device": _compiled_elsewhere,
}
