"""What the user says of a song: constraints of the decoder, which finds the rest."""

from __future__ import annotations

from dataclasses import dataclass

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.chords import Key
from samuel_runtime.leadsheet.sheet import LeadSheet, Meter

BPM_MIN, BPM_MAX = 20.0, 400.0


@dataclass(frozen=True)
class Given:
    """Nothing by default: all is estimated.

    Raises:
        UserError: a tempo, time, meter or key that is none.
    """

    bpm: float | None = None
    """A constant tempo: beats of the meter a minute."""
    first_beat_s: float | None = None
    """Where a beat is, from which the constant grid is laid; None finds it in the voice."""
    meter: Meter | None = None
    key: Key | None = None
    chords: tuple[tuple[str, int], ...] = ()
    """Harte names and for how many beats each sounds, 0 for a whole bar; repeated from the first downbeat on."""
    sheet: LeadSheet | None = None
    """All of it: what the sheet knows is not estimated."""

    def __post_init__(self) -> None:
        if self.bpm is not None and not BPM_MIN <= self.bpm <= BPM_MAX:
            raise UserError(f"bpm must lie between {BPM_MIN:.0f} and {BPM_MAX:.0f}, not {self.bpm!r}")
        if self.first_beat_s is not None and not 0 <= self.first_beat_s < float("inf"):
            raise UserError(f"first_beat_s must be a time within the song, not {self.first_beat_s!r}")
