"""Checkpoints of the estimators: weights, sizes and provenance in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from samuel_runtime.bundle.manifest import OPTIONAL_GRAPHS, GraphName
from samuel_runtime.errors import UserError
from samuel_runtime.files import replacing
from samuel_runtime.melody import MELODY_CHANNELS
from samuel_train.listen.config import StackConfig
from samuel_train.listen.part import Part, part_of

FORMAT = 1
"""Version of the metadata; a reader refuses later ones."""
_MAKE_ONE = "make one with `samuel-train listen`"
_LONGEST_NAMED = 3


@dataclass(frozen=True, eq=False)
class EstimatorCheckpoint:
    """A trained estimator.

    Raises:
        UserError: the weights are not those of the config, or hold NaN or infinity.
    """

    config: StackConfig
    """Says which it is, too."""
    weights: dict[str, Tensor]
    """Parameters and statistics of the norms by name."""
    provenance: dict[str, str]
    """How it was trained."""

    def __post_init__(self) -> None:
        with torch.device("meta"):
            expected = self.part.network(self.config).state_dict()
        wrong = sorted(
            name
            for name in {*expected, *self.weights}
            if name not in expected
            or name not in self.weights
            or self.weights[name].shape != expected[name].shape
            or self.weights[name].dtype != expected[name].dtype
        )
        if wrong:
            raise UserError(f"the weights do not fit the config ({', '.join(wrong[:_LONGEST_NAMED])}); {_MAKE_ONE}")
        for name, weight in self.weights.items():
            if not weight.isfinite().all():
                raise UserError(f"tensor {name} holds NaN or infinity; take an earlier checkpoint")

    @property
    def part(self) -> Part:
        """The estimator by frame, or that of chords."""
        return part_of(self.config)

    def build(self) -> nn.Module:
        """The network with these weights, ready for inference."""
        network = self.part.network(self.config)
        network.load_state_dict(self.weights)
        return network.eval()


def save_estimator(path: Path, checkpoint: EstimatorCheckpoint) -> None:
    """Write it whole or not at all.

    Raises:
        UserError: if the folder cannot be written to or the disk is full.
    """
    metadata = {
        "samuel_estimator": str(FORMAT),
        "channels": str(MELODY_CHANNELS),
        "graph": json.dumps(checkpoint.part.graph.value),
        "config": json.dumps(checkpoint.config.to_dict()),
        "provenance": json.dumps(checkpoint.provenance),
    }
    weights = {name: weight.detach().cpu().contiguous() for name, weight in checkpoint.weights.items()}
    with replacing(path) as temporary:
        try:
            save_file(weights, temporary, metadata)
        except SafetensorError as error:  # what safetensors makes of an OSError
            raise UserError(f"{path}: cannot be written ({error}); make space or choose another folder") from error


def load_estimator(path: Path) -> EstimatorCheckpoint:
    """Read and check a checkpoint.

    Raises:
        UserError: naming the file, what is wrong with it and what to do.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if _parsed(metadata, "samuel_estimator") != FORMAT or _parsed(metadata, "channels") != MELODY_CHANNELS:
                raise UserError(f"is of another version than this samuel-deploy; {_MAKE_ONE}")
            provenance = _parsed(metadata, "provenance")
            if not isinstance(provenance, dict) or not all(isinstance(text, str) for text in provenance.values()):
                raise UserError(f"its provenance is not texts by name; {_MAKE_ONE}")
            part = part_of(_graph(metadata))
            config = part.config.from_dict(_parsed(metadata, "config"))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return EstimatorCheckpoint(config, weights, provenance)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); {_MAKE_ONE}") from error
    except SafetensorError as error:
        raise UserError(f"{path}: is cut short or no safetensors file ({error}); {_MAKE_ONE}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _graph(metadata: dict[str, str]) -> GraphName:
    """Which estimator it is; files that do not say so are older than that of chords."""
    name = _parsed(metadata, "graph") if "graph" in metadata else GraphName.ESTIMATOR.value
    if name not in (graph.value for graph in OPTIONAL_GRAPHS):
        raise UserError(f"is an estimator of {name!r}, which this version does not know; {_MAKE_ONE}")
    return GraphName(name)


def _parsed(metadata: dict[str, str], key: str) -> Any:
    try:
        return json.loads(metadata[key])
    except (KeyError, ValueError, RecursionError) as error:
        raise UserError(f"is no estimator: its metadata has no readable entry {key}; {_MAKE_ONE}") from error
