"""What the user says of a song: constraints of the decoder, which finds the rest."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.chords import Chord, Key, harte
from samuel_runtime.leadsheet.sheet import LeadSheet, Meter

BPM_MIN, BPM_MAX = 20.0, 400.0
_CHORDS_MOST = 10_000
_CHORD_BEATS_MOST = 64


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
        if self.bpm is not None and not (isinstance(self.bpm, Real) and BPM_MIN <= self.bpm <= BPM_MAX):
            raise UserError(f"bpm must lie between {BPM_MIN:.0f} and {BPM_MAX:.0f}, not {self.bpm!r}")
        first_s = self.first_beat_s
        if first_s is not None and not (isinstance(first_s, Real) and 0 <= first_s < float("inf")):
            raise UserError(f"first_beat_s must be a time within the song; give seconds, not {first_s!r}")

    @classmethod
    def of(
        cls,
        bpm: float | None = None,
        first_beat_s: float | None = None,
        meter: Meter | str | None = None,
        key: Key | str | None = None,
        chords: str | None = None,
        sheet: LeadSheet | None = None,
    ) -> Given:
        """From plain values, as a user writes them.

        Args:
            bpm: as the field.
            first_beat_s: as the field; goes with ``bpm``.
            meter: such as "3/4".
            key: such as "A minor" or "F#m".
            chords: see :func:`parsed_chords`.
            sheet: as the field.

        Raises:
            UserError: one of them is none; the message begins with its name.
        """
        if first_beat_s is not None and bpm is None:
            raise UserError("first_beat_s must come with a tempo; give `bpm` as well")
        return cls(
            float(bpm) if isinstance(bpm, Real) else bpm,
            first_beat_s,
            None if meter is None else _meter(meter),
            _key(key) if isinstance(key, str) else key,
            () if chords is None else parsed_chords(chords),
            sheet,
        )


def parsed_chords(text: str) -> tuple[tuple[str, int], ...]:
    """Harte names and beats of a progression such as ``Am F:2 G7/B:2 C``; 0 beats are a whole bar.

    Names are those of :meth:`samuel_runtime.leadsheet.chords.Chord.parse`, so ``F:7`` is Harte's F7, and ``F7:2`` is
    that for two beats.

    Raises:
        UserError: one of them is no chord, or there is none.
    """
    if not isinstance(text, str) or not text.split():
        raise UserError(f"chords must be names such as 'Am F C G'; give at least one, not {text!r}")
    names = text.split()
    if len(names) > _CHORDS_MOST:
        raise UserError(f"chords must be those of one song; give at most {_CHORDS_MOST}, not {len(names)}")
    return tuple(map(_chord, names))


def _chord(written: str) -> tuple[str, int]:
    name, colon, beats = written.rpartition(":")
    try:
        if colon and beats.isdecimal() and not _is_chord(written):
            if not 1 <= int(beats[:3]) <= _CHORD_BEATS_MOST:
                raise UserError(
                    f"chords must sound for 1 to {_CHORD_BEATS_MOST} beats; give {name} another number, not {beats}"
                )
            return harte(name), int(beats)
        return harte(written), 0
    except UserError as error:
        if str(error).startswith("chords "):
            raise
        raise UserError(
            "chords must be names such as Am, F#m7, Bb or G7/B, each for a bar, or as F:2 for two beats; "
            f"give another for {written!r}"
        ) from None


def _is_chord(name: str) -> bool:
    try:
        Chord.parse(name)
    except UserError:
        return False
    return True


def _meter(given: Meter | str) -> Meter:
    try:
        return Meter(given)
    except ValueError:
        known = ", ".join(meter.value for meter in Meter)
        raise UserError(f"meter must be one of {known}; choose the nearest, not {given!r}") from None


def _key(given: str) -> Key:
    try:
        return Key.parse(given)
    except UserError:
        raise UserError(f"key must be a tonic and a mode; give C, A minor, F#m or Bb major, not {given!r}") from None
