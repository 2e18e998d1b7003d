"""The grid: every combination of sampler, guidance and steps is a case, and becomes a row of the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from samuel_runtime.settings import Sampler, Settings


@dataclass(frozen=True)
class Case:
    """How all songs of one row are made."""

    sampler: Sampler
    """How latents are drawn."""
    guidance: float
    """How strongly the voice leads."""
    steps: int
    """Denoising steps per window."""
    seed: int
    """Of the first song's noise."""

    def __str__(self) -> str:
        return f"{self.sampler.value}, guidance {self.guidance:g}, {self.steps} steps"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"sampler": self.sampler.value, "guidance": self.guidance, "steps": self.steps, "seed": self.seed}

    def settings(self, song: int) -> Settings:
        """For song number ``song``, whose seed is that much higher: every song draws its own noise."""
        return Settings(self.sampler, self.steps, self.guidance, self.seed + song)


def grid(samplers: Sequence[Sampler], guidances: Sequence[float], steps: Sequence[int], seed: int) -> list[Case]:
    """All cases, once each: by sampler, then guidance, then ascending steps.

    Raises:
        UserError: a value is none that the runtime takes.
    """
    combinations = product(dict.fromkeys(samplers), sorted(set(guidances)), sorted(set(steps)))
    cases = [Case(sampler, guidance, count, seed) for sampler, guidance, count in combinations]
    for case in cases:
        case.settings(0)
    return cases
