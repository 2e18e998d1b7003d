"""Meters: how many beats a bar has, and how many sixteenths a beat."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meter:
    """A time signature; patterns are written in its sixteenths."""

    name: str
    beats: int
    """Beats in a bar, as felt: two in 6/8."""
    steps_per_beat: int
    """Sixteenths in a beat: six where the beat is a dotted quarter."""
    second_chord_beat: int
    """Where the second chord of a bar begins, if it has two."""

    @property
    def steps(self) -> int:
        """Sixteenths in a bar."""
        return self.beats * self.steps_per_beat

    @property
    def eighths(self) -> int:
        """Eighths in a bar."""
        return self.steps // 2

    @property
    def second_chord_step(self) -> int:
        """Where the second chord of a bar begins, in sixteenths."""
        return self.second_chord_beat * self.steps_per_beat

    def swung(self, step: float, swing: float) -> float:
        """Where a step is played: the middle of a beat is late by ``swing`` beats (1/6 is a triplet's feel).

        Steps between are moved along, so that their order stays. Beats of three eighths do not swing.
        """
        if self.steps_per_beat != 4 or not swing:
            return step
        beat, inside = divmod(step, 4)
        late = 4 * swing
        return 4 * beat + (inside * (2 + late) / 2 if inside <= 2 else 2 + late + (inside - 2) * (2 - late) / 2)


COMMON = Meter("4/4", 4, 4, 2)
WALTZ = Meter("3/4", 3, 4, 2)
SIX_EIGHT = Meter("6/8", 2, 6, 1)
METERS = (COMMON, WALTZ, SIX_EIGHT)
