"""A lead sheet: beats, bars, key, chords and melody of a song, in seconds of the recording."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.chords import Chord, Key

_BEATS_MOST = 100_000
_SAME_TIME_S = 1e-6


class Meter(str, Enum):
    """A time signature; its beats are those that are felt: two dotted quarters in 6/8."""

    COMMON = "4/4"
    WALTZ = "3/4"
    SIX_EIGHT = "6/8"

    @property
    def beats(self) -> int:
        """Beats in a bar."""
        return {Meter.COMMON: 4, Meter.WALTZ: 3, Meter.SIX_EIGHT: 2}[self]


@dataclass(frozen=True)
class ChordSpan:
    """A chord from its start to the next chord's."""

    start_s: float
    name: str
    """As Harte et al. (2005) write it, such as ``A:min`` or ``C:maj/3``; ``N`` is no chord, ``X`` an unknown one."""
    confidence: float = 1.0
    """0 .. 1."""


@dataclass(frozen=True)
class Note:
    """A note of the melody."""

    start_s: float
    duration_s: float
    midi: float
    """69 is 440 Hz; fractions are cents."""
    confidence: float = 1.0
    """0 .. 1."""


@dataclass(frozen=True)
class Confidence:
    """How sure an estimate is, 0 .. 1; what a person wrote is sure."""

    beats: float = 1.0
    bars: float = 1.0
    key: float = 1.0
    chords: float = 1.0


@dataclass(frozen=True)
class LeadSheet:
    """What is known of a song; anything may be missing.

    Raises:
        UserError: times that are no numbers, run backwards or lie outside the song, a chord or key that is none.
    """

    duration_s: float
    """Length of the recording."""
    meter: Meter = Meter.COMMON
    key: str | None = None
    """Such as ``A minor``."""
    beats_s: tuple[float, ...] = ()
    """Time of every beat."""
    downbeats_s: tuple[float, ...] = ()
    """Time of every bar's first beat, each one of ``beats_s``."""
    chords: tuple[ChordSpan, ...] = ()
    """Every change of chord; before the first none is known."""
    melody: tuple[Note, ...] = ()
    confidence: Confidence = Confidence()

    def __post_init__(self) -> None:
        object.__setattr__(self, "meter", _meter(self.meter))
        if not 0 < self.duration_s < float("inf"):
            raise UserError(f"lead sheet: the duration must be a positive number of seconds, not {self.duration_s!r}")
        if self.key is not None:
            object.__setattr__(self, "key", str(Key.parse(self.key)))
        for what, times_s in (
            ("beats", self.beats_s),
            ("downbeats", self.downbeats_s),
            ("chords", tuple(chord.start_s for chord in self.chords)),
        ):
            _check_times(what, times_s, self.duration_s)
        for downbeat_s in self.downbeats_s:
            if not any(abs(near - downbeat_s) <= _SAME_TIME_S for near in self._beats_near(downbeat_s)):
                raise UserError(f"lead sheet: the downbeat at {downbeat_s:.3f} s is none of the beats; add it to them")
        for chord in self.chords:
            Chord.parse(chord.name)
        starts_s = tuple(note.start_s for note in self.melody)
        _check_times("melody", starts_s, self.duration_s)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of the song but its length."""
        return not (self.key or self.beats_s or self.chords or self.melody)

    @property
    def tempo_bpm(self) -> float | None:
        """Beats a minute, from the median distance of beats; None with fewer than two."""
        intervals = sorted(b - a for a, b in pairwise(self.beats_s))
        return 60 / intervals[len(intervals) // 2] if intervals else None

    def chord_at(self, time_s: float) -> str:
        """Name of the chord that sounds; ``X`` where none is known."""
        place = bisect_right([chord.start_s for chord in self.chords], time_s)
        return self.chords[place - 1].name if place else "X"

    def _beats_near(self, time_s: float) -> tuple[float, ...]:
        place = bisect_right(self.beats_s, time_s)
        return self.beats_s[max(0, place - 1) : place + 1]


def _meter(given: Meter | str) -> Meter:
    try:
        return Meter(given)
    except ValueError:
        known = ", ".join(meter.value for meter in Meter)
        raise UserError(f"lead sheet: meter must be one of {known}, not {given!r}") from None


def _check_times(what: str, times_s: tuple[float, ...], duration_s: float) -> None:
    if len(times_s) > _BEATS_MOST:
        raise UserError(f"lead sheet: {len(times_s)} {what}, more than {_BEATS_MOST}; is it one song?")
    before_s = float("-inf")
    for time_s in times_s:
        if not 0 <= time_s <= duration_s:  # NaN is refused too
            raise UserError(
                f"lead sheet: {what} at {time_s!r} s, outside the {duration_s:.3f} s of the song; remove or move them"
            )
        if time_s <= before_s:
            raise UserError(f"lead sheet: {what} run backwards at {time_s:.3f} s; sort them")
        before_s = time_s
