"""Classifier-free guidance (Ho and Salimans, 2022): its scale, and the timesteps that it is applied at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guidance:
    """A scale, and the part of the schedule that it is applied in.

    At high noise levels guidance decides what is played: key, chords, beat. At low ones that is settled, and guidance
    only drives the latents out of the codec's range, at twice the cost: Kynkäänniemi et al. (2024), "Applying guidance
    in a limited interval".
    """

    scale: float
    """g in v_null + g (v_cond - v_null); 1 is the conditional output alone."""
    down_to: int = 0
    """The lowest timestep that is guided; 0 guides all."""

    def at(self, t: int) -> float:
        """The scale at a timestep."""
        return self.scale if t >= self.down_to else 1.0
