"""What is known about a song: its music in seconds, as ``song.json`` keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from samuel_runtime.errors import UserError

_SINCE_VERSION_2 = frozenset({"meter", "downbeats_s", "sections", "take", "speaker", "instruments"})


@dataclass(frozen=True)
class SongFacts:
    """The ground truth of a song."""

    tonic: str
    """Name of the tonic, such as ``Eb``."""
    mode: str
    """``major`` or ``minor``."""
    tempo_bpm: float
    """Beats a minute; a beat of 6/8 is a dotted quarter."""
    style: str
    beats_s: tuple[float, ...]
    """Time of every beat."""
    chords: tuple[tuple[float, str], ...]
    """(start_s, name) of every change of chord; the first is what sounds at the beginning."""
    melody: tuple[tuple[float, float, int], ...]
    """(start_s, duration_s, midi) of every sung note, as written; the first may begin before the recording."""
    meter: str = "4/4"
    downbeats_s: tuple[float, ...] = ()
    """Time of every bar's first beat; none in songs of version 1, whose first beat is one."""
    sections: tuple[tuple[float, str], ...] = ()
    """(start_s, name) of intro, verse, chorus, bridge and break; the first is where the recording begins."""
    take: str = "words"
    """What the voice does: ``words``, ``la-la``, ``hum`` or ``whistle``, which sounds octaves above what is written."""
    speaker: str = ""
    """espeak-ng's name of the voice."""
    instruments: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SongFacts:
        """Rebuild from JSON values, of this version or the first.

        Raises:
            UserError: if a key is missing or unknown, or a list is none.
        """
        names = {field.name for field in fields(cls)}
        wrong = (names - _SINCE_VERSION_2 - set(values)) | (set(values) - names)
        if wrong:
            raise UserError(f"song facts: missing or unknown key {', '.join(sorted(wrong))}")
        try:
            sequences = {
                "beats_s": tuple(float(beat_s) for beat_s in values["beats_s"]),
                "chords": tuple((float(start_s), str(name)) for start_s, name in values["chords"]),
                "melody": tuple(
                    (float(start_s), float(held_s), int(midi)) for start_s, held_s, midi in values["melody"]
                ),
                "downbeats_s": tuple(float(beat_s) for beat_s in values.get("downbeats_s", ())),
                "sections": tuple((float(start_s), str(name)) for start_s, name in values.get("sections", ())),
                "instruments": tuple(str(name) for name in values.get("instruments", ())),
            }
        except (TypeError, ValueError) as error:
            raise UserError(f"song facts: a list of times is not as written ({error})") from error
        return cls(**{**values, **sequences})

    @property
    def bars_s(self) -> tuple[float, ...]:
        """Where bars begin."""
        return self.downbeats_s or self.beats_s[::_BEATS_OF_VERSION_1]

    @property
    def half_bars_s(self) -> tuple[float, ...]:
        """Where half bars begin, from the first downbeat on; a bar of 3/4 is not halved."""
        if not self.downbeats_s:
            return self.beats_s[::2]
        from_downbeat = [beat_s for beat_s in self.beats_s if beat_s >= self.downbeats_s[0]]
        return tuple(from_downbeat[:: _BEATS_PER_SPAN.get(self.meter, 2)])


_BEATS_OF_VERSION_1 = 4  # in every bar
_BEATS_PER_SPAN = {"4/4": 2, "3/4": 3, "6/8": 1}
