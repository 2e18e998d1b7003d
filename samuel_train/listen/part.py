"""What is trained: the estimator by frame, or that of chords on beats; the loop knows no difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.leadsheet import LeadSheet
from samuel_runtime.melody import MelodyTracks
from samuel_train.listen.chord_estimator import examples as by_slot
from samuel_train.listen.chord_estimator.network import ChordNetwork
from samuel_train.listen.chord_estimator.objective import losses as chord_losses
from samuel_train.listen.config import ChordConfig, EstimatorConfig, StackConfig
from samuel_train.listen.estimator import examples as by_frame
from samuel_train.listen.estimator.network import EstimatorNetwork
from samuel_train.listen.estimator.objective import losses


@dataclass(frozen=True)
class Part:
    """A network, and how songs become examples of it."""

    graph: GraphName
    """Which it is in a bundle; files have its name."""
    config: type[StackConfig]
    network: Callable[[Any], nn.Module]
    """Of a config; its estimates have ``tones``, ``root`` and ``key``."""
    example: Callable[[np.random.Generator, MelodyTracks, LeadSheet], Any | None]
    """A song as an example; None if it is none."""
    batch: Callable[[Sequence[Any], np.random.Generator, int], Any]
    """Crops of some of these examples, of so many frames together; its ``inputs`` are the network's."""
    whole: Callable[[Sequence[Any]], Any]
    """Examples as they are."""
    losses: Callable[[Any, Any], dict[str, Tensor]]
    """Of an estimate and a batch; ``loss`` is their sum."""
    reservoir: int
    """Songs that crops are drawn from, some 100 MB."""
    renewed: int
    """Songs that replace others in every step."""


_PARTS = (
    Part(GraphName.ESTIMATOR, EstimatorConfig, EstimatorNetwork, by_frame.drawn_example, by_frame.drawn_batch,
         by_frame.batch_of, losses, reservoir=192, renewed=2),
    Part(GraphName.CHORDS, ChordConfig, ChordNetwork, by_slot.drawn_example, by_slot.drawn_batch,
         by_slot.whole_batch, chord_losses, reservoir=2000, renewed=6),
)  # fmt: skip


def part_of(config: StackConfig | GraphName) -> Part:
    """The part that has these sizes, or this name."""
    return next(part for part in _PARTS if config is part.graph or isinstance(config, part.config))
