"""The grid: every combination of sampler, guidance, steps and lead sheet is a case, and a row of the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Any

from samuel_runtime.settings import Sampler, Settings


class SheetSource(str, Enum):
    """Where the lead sheet comes from that the band plays from."""

    NONE = "none"
    """It plays from the voice alone."""
    ESTIMATED = "estimated"
    """The bundle listens to the voice, as `samuel-run` does."""
    GIVEN = "given"
    """The song's own, as it was written: what the best estimate could do."""


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
    sheet: SheetSource = SheetSource.NONE
    """What the band plays from beside the voice."""

    def __str__(self) -> str:
        sheet = "" if self.sheet is SheetSource.NONE else f", sheet {self.sheet.value}"
        return f"{self.sampler.value}, guidance {self.guidance:g}, {self.steps} steps{sheet}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {"sampler": self.sampler.value, "guidance": self.guidance, "steps": self.steps, "seed": self.seed}
        return {**values, "sheet": self.sheet.value}

    def settings(self, song: int) -> Settings:
        """For song number ``song``, whose seed is that much higher: every song draws its own noise."""
        return Settings(self.sampler, self.steps, self.guidance, self.seed + song)


def grid(
    samplers: Sequence[Sampler],
    guidances: Sequence[float],
    steps: Sequence[int],
    seed: int,
    sheets: Sequence[SheetSource] = (SheetSource.NONE,),
) -> list[Case]:
    """All cases, once each: by sampler, then guidance, then ascending steps, then sheet.

    Raises:
        UserError: a value is none that the runtime takes.
    """
    combinations = product(dict.fromkeys(samplers), sorted(set(guidances)), sorted(set(steps)), dict.fromkeys(sheets))
    cases = [Case(sampler, guidance, count, seed, sheet) for sampler, guidance, count, sheet in combinations]
    for case in cases:
        case.settings(0)
    return cases
