"""What every engine offers, and how a bundle can run: the interface over the libraries that run a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from samuel_runtime.settings import Precision, Provider


@dataclass(frozen=True)
class Backend:
    """How a bundle runs."""

    provider: Provider
    """Where; never AUTO."""
    precision: Precision
    """The arithmetic of the work that counts; an engine may keep what is sensitive and cheap in float32."""

    def __str__(self) -> str:
        return f"{self.provider.value} {self.precision.value}"


class Bound(Protocol):
    """A graph with the memory of its inputs and outputs fixed."""

    def run(self) -> dict[str, np.ndarray]:
        """Run on what the bound inputs hold now; the next run overwrites the arrays that this one returns."""


class Engine(Protocol):
    """A graph that is ready to run."""

    backend: Backend
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
