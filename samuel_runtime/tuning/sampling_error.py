"""What a number of steps buys: how far each sampler still is from its many-step limit.

Relative L2 distance of the latents from those of 800 steps of dpm++2m that began in the same noise: medians over three
voices and two seeds, packaged bundle, its default guidance. `python -m benchmarks.steps` measures it anew. Other models
have other numbers; what a choice rests on, the order of the entries and how they fall, is the samplers' own.
"""

from __future__ import annotations

import numpy as np

from samuel_runtime.settings import Sampler

SAMPLING_ERROR: dict[Sampler, dict[int, float]] = {
    Sampler.UNIPC: {4: 0.238, 8: 0.058, 12: 0.030, 16: 0.027, 25: 0.020, 50: 0.0097, 100: 0.0026},
    Sampler.DPM_SOLVER_2M: {4: 0.289, 8: 0.089, 12: 0.048, 16: 0.0303, 25: 0.0192, 50: 0.0073, 100: 0.0039},
    Sampler.DDIM: {4: 0.329, 8: 0.166, 12: 0.118, 16: 0.087, 25: 0.063, 50: 0.033, 100: 0.017},
}
"""By sampler and steps. The ancestral sampler has none: it draws noise at every step, and so has no limit to near."""

FEWEST_STEPS = max(min(entries) for entries in SAMPLING_ERROR.values())
"""Below this the result would be of no use."""
MOST_STEPS = min(max(entries) for entries in SAMPLING_ERROR.values())
"""Beyond this nobody has measured that more steps help."""


def distance(sampler: Sampler, steps: int) -> float:
    """Relative L2 distance from the many-step limit; between the entries along a power law, beyond them the last one.

    Raises:
        KeyError: for a sampler that was not measured.
    """
    entries = SAMPLING_ERROR[sampler]
    return float(np.exp(np.interp(np.log(steps), np.log(list(entries)), np.log(list(entries.values())))))
