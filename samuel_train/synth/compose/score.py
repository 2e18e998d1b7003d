"""What a band plays, as plain data: tracks of hits, ready for a MIDI file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from samuel_train.synth.compose.styles import Program


@dataclass(frozen=True)
class Hit:
    """A note or a stroke."""

    start_s: float
    """Seconds from the excerpt's beginning; negative before it."""
    duration_s: float
    midi: int
    """Pitch, or the number of a drum."""
    loudness: float
    """0 .. 1; the instrument decides what it means."""


@dataclass(frozen=True)
class Track:
    """One instrument's part."""

    name: str
    program: int
    """General MIDI program, or the kit of a drum track."""
    drums: bool
    gain_db: float
    place: float
    """-1 is left, 1 is right."""
    room: float
    """How much reverberation, 0 .. 1."""
    hits: tuple[Hit, ...]


def instruments(tracks: Sequence[Track]) -> tuple[str, ...]:
    """Names for the song's facts, such as ``bass: upright-bass``."""
    return tuple(f"{track.name}: {_instrument(track)}" for track in tracks)


def _instrument(track: Track) -> str:
    return f"kit-{track.program}" if track.drums else Program(track.program).name.lower().replace("_", "-")
