"""An estimator's weights out of its graph, so that training can go on from a bundle whose checkpoint is gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch

from samuel_export.precision.weights import unpack_weights
from samuel_export.read_back.learned_weights import constants_in_order
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.errors import UserError
from samuel_train.listen.checkpoint import EstimatorCheckpoint
from samuel_train.listen.part import part_of


def read_estimator(bundle: Path, name: GraphName = GraphName.ESTIMATOR) -> EstimatorCheckpoint:
    """A bundle's estimator, by frame or of chords, as a checkpoint: what is stored, to the bit.

    Raises:
        UserError: the bundle is not in order, has no such estimator, or one that this version did not write.
    """
    opened = Bundle.open(bundle)
    if name not in opened.manifest.graphs:
        raise UserError(f"{bundle}: has no {name.value}; name another bundle, or train one with `samuel-train listen`")
    graph = onnx.load_model_from_string(opened.read_graph(name))
    try:
        return estimator_of(unpack_weights(graph), opened.manifest.provenance.get(name.value, "unknown"))
    except (UserError, ValueError, IndexError, TypeError) as error:
        raise UserError(f"{bundle}: its {name.value} was written by another version of samuel ({error})") from error


def estimator_of(graph: onnx.ModelProto, training: str) -> EstimatorCheckpoint:
    """The weights of an estimator's graph (samuel_export/graphs), which holds them in the network's order.

    Args:
        graph: of an estimator, named as the bundle names it.
        training: how it was trained.

    Raises:
        UserError, ValueError, IndexError, TypeError: the graph holds something else.
    """
    part = part_of(GraphName(graph.graph.name))
    dilations = [attribute.ints[-1] for node in graph.graph.node for attribute in node.attribute
                 if attribute.name == "dilations"]  # fmt: skip
    arrays = [array for array in constants_in_order(graph) if array.dtype == np.float32]
    stacks = dilations.count(1)
    config = part.config(len(arrays[0]), len(dilations) // max(stacks, 1), stacks)
    with torch.device("meta"):
        expected = part.network(config).state_dict()
    counters = {name: torch.tensor(0) for name, weight in expected.items() if not weight.is_floating_point()}
    named = zip([name for name in expected if name not in counters], arrays, strict=True)
    weights = {name: torch.from_numpy(array.reshape(expected[name].shape).copy()) for name, array in named}
    return EstimatorCheckpoint(config, counters | weights, {"training": training})
