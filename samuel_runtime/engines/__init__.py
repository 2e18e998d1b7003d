"""One interface over the backends that run a graph: open one from bytes, then call it with arrays."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from samuel_runtime.choices import Provider


class Engine(Protocol):
    """A graph that is ready to run."""

    provider: Provider
    """Where it runs; never AUTO."""
    inputs: frozenset[str]
    """Names of what it takes."""
    outputs: tuple[str, ...]
    """Names of what it gives, in order."""

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph: inputs by name, outputs by name."""


def open_engine(model: bytes, name: str, provider: Provider, threads: int | None = None) -> Engine:
    """Load a whole, checked graph on a provider other than AUTO; ``name`` is for messages.

    Raises:
        UserError: the provider is missing here, or refuses the graph.
    """
    from samuel_runtime.engines.onnx import OnnxEngine  # a backend is imported when it is used

    return OnnxEngine(model, name, provider, threads)
