"""A lead sheet as JSON, in the manner of JAMS: times in seconds, chords as Harte writes them, a confidence beside each.

The keys are the fields of :class:`LeadSheet`, with ``schema_version`` before them, and ``tempo_bpm``, which follows
from the beats and is there to be read.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json as parsed

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.sheet import ChordSpan, Confidence, LeadSheet, Meter, Note

SCHEMA_VERSION = 1
LARGEST_BYTES = 16 << 20
_ENTRIES_MOST = 100_000
_TEMPO_DIFFERENCE = 0.01  # of a tempo that a person has rounded

Share = Annotated[float, Field(ge=0, le=1)]
Times = Annotated[list[float], Field(max_length=_ENTRIES_MOST)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Chord(_Strict):
    start_s: float
    name: Annotated[str, Field(max_length=40)]
    confidence: Share = 1.0


class _Note(_Strict):
    start_s: float
    duration_s: Annotated[float, Field(ge=0)]
    midi: Annotated[float, Field(ge=0, le=127)]
    confidence: Share = 1.0


class _Confidence(_Strict):
    beats: Share = 1.0
    bars: Share = 1.0
    key: Share = 1.0
    chords: Share = 1.0


class _File(_Strict):
    schema_version: int
    duration_s: float
    key: Annotated[str, Field(max_length=40)] | None = None
    meter: Annotated[str, Field(max_length=40)] = Meter.COMMON.value
    tempo_bpm: float | None = None
    beats_s: Times = []
    downbeats_s: Times = []
    chords: Annotated[list[_Chord], Field(max_length=_ENTRIES_MOST)] = []
    melody: Annotated[list[_Note], Field(max_length=_ENTRIES_MOST)] = []
    confidence: _Confidence = _Confidence()

    def sheet(self) -> LeadSheet:
        """What the file says."""
        return LeadSheet(
            self.duration_s,
            self.meter,  # type: ignore[arg-type]  # checked there
            self.key,
            tuple(self.beats_s),
            tuple(self.downbeats_s),
            tuple(ChordSpan(**dict(chord)) for chord in self.chords),
            tuple(Note(**dict(note)) for note in self.melody),
            Confidence(**dict(self.confidence)),
        )


def to_dict(sheet: LeadSheet) -> dict[str, Any]:
    """Plain values, as in the file."""
    return {
        "schema_version": SCHEMA_VERSION,
        "duration_s": float(sheet.duration_s),
        "key": sheet.key,
        "meter": sheet.meter.value,
        "tempo_bpm": sheet.tempo_bpm,
        "beats_s": [float(time_s) for time_s in sheet.beats_s],
        "downbeats_s": [float(time_s) for time_s in sheet.downbeats_s],
        "chords": [
            {"start_s": float(one.start_s), "name": one.name, "confidence": float(one.confidence)}
            for one in sheet.chords
        ],
        "melody": [{name: float(value) for name, value in asdict(note).items()} for note in sheet.melody],
        "confidence": {name: float(value) for name, value in asdict(sheet.confidence).items()},
    }


def to_json(sheet: LeadSheet) -> bytes:
    """The file: a line for every key, chord and note, so that a person finds them.

    Raises:
        UserError: it would be larger than what is read.
    """
    lines = []
    for name, value in to_dict(sheet).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            entries = ",\n".join(f"  {json.dumps(entry)}" for entry in value)
            lines.append(f' "{name}": [\n{entries}\n ]')
        else:
            lines.append(f' "{name}": {json.dumps(value)}')
    content = ("{\n" + ",\n".join(lines) + "\n}\n").encode()
    if len(content) > LARGEST_BYTES:
        raise UserError(f"lead sheet: {len(content) >> 20} MiB are more than one song; leave notes or chords out")
    return content


def from_json(content: bytes) -> LeadSheet:
    """Read what :func:`to_json` writes, or what a person made of it.

    Args:
        content: at most ``LARGEST_BYTES``, which the caller sees to.

    Raises:
        UserError: not JSON, of a newer schema, or wrong in any field.
    """
    try:
        values = parsed(content, allow_inf_nan=False)
    except ValueError as error:
        raise UserError(f"is not JSON ({error}); save it again") from error
    return from_dict(values)


def from_dict(values: Any) -> LeadSheet:
    """Read plain values, as :func:`to_dict` gives them.

    Raises:
        UserError: of a newer schema, or wrong in any field.
    """
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise UserError(
            f"schema version {version} is newer than this software's {SCHEMA_VERSION}; "
            "upgrade with `pip install -U samuel-deploy`"
        )
    if version != SCHEMA_VERSION:
        raise UserError(f"is no lead sheet; give it a schema_version of {SCHEMA_VERSION}")
    try:
        file = _File.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {first['msg']}; mend it and save it again") from error
    sheet = file.sheet()
    _check_tempo(file.tempo_bpm, sheet.tempo_bpm)
    return sheet


def _check_tempo(said: float | None, is_bpm: float | None) -> None:
    """A tempo that a person changed would have no effect: the beats have it."""
    if said is not None and (is_bpm is None or abs(said - is_bpm) > _TEMPO_DIFFERENCE * is_bpm):
        beats = "there are no beats" if is_bpm is None else f"the beats have {is_bpm:.3f}"
        raise UserError(f"tempo_bpm is {said} and {beats}; leave it out, move beats_s, or give `bpm` instead")
