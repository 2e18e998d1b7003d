"""One interface over the backends that run a graph: open one from bytes, then call it with arrays."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from samuel_runtime.choices import Precision, Provider
from samuel_runtime.ways import Way


class Bound(Protocol):
    """A graph with the memory of its inputs and outputs fixed."""

    def run(self) -> dict[str, np.ndarray]:
        """Run on what the bound inputs hold now; the next run overwrites the arrays that this one returns."""


class Engine(Protocol):
    """A graph that is ready to run."""

    way: Way
    """How it runs."""
    inputs: frozenset[str]
    """Names of what it takes."""
    outputs: tuple[str, ...]
    """Names of what it gives, in order."""

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph: inputs by name, outputs by name, in arrays of their own."""

    def bind(self, **inputs: np.ndarray) -> Bound:
        """Make these arrays the graph's inputs from now on, so that a run neither allocates nor copies.

        Args:
            inputs: C-contiguous, of the graph's types; write into them in place between runs.
        """


def open_engine(
    model: bytes, name: str, way: Way, threads: int | None = None, typed: Precision = Precision.FP32
) -> Engine:
    """Load a whole, checked graph.

    Args:
        model: an ONNX file.
        name: what to call it in messages.
        way: how to run it.
        threads: of one operator; None is one per physical core that the process may use.
        typed: the precision that the graph is typed in.

    Raises:
        UserError: the engine refuses the graph, or does not start.
    """
    # A backend is imported when it is used: each takes a tenth of a second, and none is needed for the others.
    if way.provider is Provider.OPENVINO:
        from samuel_runtime.engines.openvino import OpenVinoEngine

        return OpenVinoEngine(model, name, way, threads, typed=typed)
    from samuel_runtime.engines.onnx import OnnxEngine

    return OnnxEngine(model, name, way, threads)
