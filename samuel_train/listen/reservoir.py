"""The latest songs, of which every step draws; each step renews some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Drawn = TypeVar("Drawn")


class Reservoir(Generic[Drawn]):
    """Examples by number, as many as fit; what a step may draw from is a pure function of its number."""

    def __init__(self, example: Callable[[int], Drawn | None], size: int, renewed: int) -> None:
        """Begin empty.

        Args:
            example: makes one; None is left out.
            size: of the reservoir.
            renewed: examples a step.
        """
        self._example, self._size, self._renewed = example, size, renewed
        self._kept: dict[int, Drawn | None] = {}

    def at(self, step: int) -> list[Drawn]:
        """The examples of a step."""
        last = (step + 1) * self._renewed + self._renewed * 4  # the first step has a few to choose from
        numbers = range(max(0, last - self._size), last)
        self._kept = {n: self._kept[n] if n in self._kept else self._example(n) for n in numbers}
        return [example for example in self._kept.values() if example is not None]
