"""An estimator's weights out of its graph, so that training can go on from a bundle whose checkpoint is gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch

from samuel_export.read_back.learned_weights import constants_in_order
from samuel_runtime.bundle.bundle import Bundle
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.errors import UserError
from samuel_train.listen.checkpoint import EstimatorCheckpoint
from samuel_train.listen.config import EstimatorConfig
from samuel_train.listen.network import EstimatorNetwork


def read_estimator(bundle: Path) -> EstimatorCheckpoint:
    """A bundle's estimator as a checkpoint, to the bit.

    Raises:
        UserError: the bundle is not in order, has no estimator, or one that this version did not write.
    """
    opened = Bundle.open(bundle)
    if GraphName.ESTIMATOR not in opened.manifest.graphs:
        raise UserError(f"{bundle}: has no estimator; name another bundle, or train one with `samuel-train listen`")
    graph = onnx.load_model_from_string(opened.read_graph(GraphName.ESTIMATOR))
    try:
        return estimator_of(graph, opened.manifest.provenance.get("estimator", "unknown"))
    except (UserError, ValueError, IndexError, TypeError) as error:
        raise UserError(f"{bundle}: its estimator was written by another version of samuel ({error})") from error


def estimator_of(graph: onnx.ModelProto, training: str) -> EstimatorCheckpoint:
    """The weights of a graph of graphs/estimator.py, which holds them in the network's order.

    Args:
        graph: of an estimator.
        training: how it was trained.

    Raises:
        UserError, ValueError, IndexError, TypeError: the graph holds something else.
    """
    dilations = [attribute.ints[0] for node in graph.graph.node for attribute in node.attribute
                 if attribute.name == "dilations"]  # fmt: skip
    arrays = [array for array in constants_in_order(graph) if array.dtype == np.float32]
    stacks = dilations.count(1)
    config = EstimatorConfig(len(arrays[0]), len(dilations) // max(stacks, 1), stacks)
    with torch.device("meta"):
        expected = EstimatorNetwork(config).state_dict()
    counters = {name: torch.tensor(0) for name, weight in expected.items() if not weight.is_floating_point()}
    names = [name for name in expected if name not in counters]
    weights = {name: torch.from_numpy(array.copy()) for name, array in zip(names, arrays, strict=True)}
    return EstimatorCheckpoint(config, counters | weights, {"training": training})
