"""What was asked for: the fields of a form, checked, and the request that is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.files.json_format import from_dict
from samuel_runtime.leadsheet.sheet import LeadSheet, Meter
from samuel_runtime.settings import DEFAULT_SAMPLER, DEFAULT_SEED, Sampler, Settings

_SEED_MOST = 2**63 - 1  # as of the command


class Wanted(BaseModel):
    """Settings of a job, by the names of :class:`samuel_runtime.Settings`; nothing is needed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sampler: Annotated[str, Field(max_length=40, examples=[s.value for s in Sampler])] = DEFAULT_SAMPLER.value
    steps: Annotated[int | None, Field(description="Denoising steps; null is the bundle's number.")] = None
    guidance: Annotated[float | None, Field(description="Classifier-free guidance scale; null is the bundle's.")] = None
    seed: Annotated[int, Field(description="Of the first take; the same seed gives the same take.")] = DEFAULT_SEED
    variations: Annotated[int, Field(description="Takes, from consecutive seeds.")] = 1
    bpm: Annotated[float | None, Field(description="The song's constant tempo, beats a minute.", examples=[92])] = None
    first_beat_s: Annotated[float | None, Field(description="Where its first beat is; goes with bpm.")] = None
    meter: Annotated[str | None, Field(max_length=40, examples=[m.value for m in Meter])] = None
    key: Annotated[str | None, Field(max_length=40, examples=["A minor"])] = None
    chords: Annotated[str | None, Field(max_length=100_000, examples=["Am F C G/B"])] = None
    lead_sheet: Annotated[
        dict[str, Any] | None, Field(description="A lead sheet's JSON; what else is given replaces parts of it.")
    ] = None

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Wanted:
        """From a form's fields, as text, or from a JSON object.

        Raises:
            UserError: an unknown field, or a value of another type or out of range; the message begins with its name.
        """
        try:
            wanted = cls.model_validate({name: value for name, value in fields.items() if value != ""})
        except ValidationError as error:
            raise UserError(*map(_said, error.errors())) from error
        if not 0 <= wanted.seed <= _SEED_MOST:
            raise UserError(f"seed must lie between 0 and {_SEED_MOST}, not {wanted.seed}")
        if wanted.variations < 1:
            raise UserError(f"variations must be at least 1, not {wanted.variations}")
        wanted.settings()  # sees to the rest
        return wanted

    def settings(self) -> Settings:
        """Of the first take.

        Raises:
            UserError: one of them is out of range.
        """
        return Settings(
            self.sampler,
            self.steps,
            self.guidance,
            self.seed,
            bpm=self.bpm,
            first_beat_s=self.first_beat_s,
            meter=self.meter,
            key=self.key,
            chords=self.chords,
            lead_sheet=None if self.lead_sheet is None else _sheet(self.lead_sheet),
        )


class Request(BaseModel):
    """An accepted job, as it is kept: what is needed to do it again from its beginning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """128 bits of the system's randomness: who knows it may read the job."""
    client: str
    """Who waits for it, see :mod:`samuel_runtime.serve.security`."""
    accepted_s: float
    """When, in seconds since 1970."""
    duration_s: float
    """Of the recording, as it was counted."""
    wanted: Wanted


def _sheet(values: dict[str, Any]) -> LeadSheet:
    try:
        return from_dict(values)
    except UserError as error:
        raise UserError(f"lead_sheet: {str(error).removeprefix('lead sheet: ')}") from error


def _said(error: Mapping[str, Any]) -> str:
    """One fault of pydantic's in the words of the library."""
    name, given = ".".join(map(str, error["loc"])) or "settings", error["input"]
    shown = repr(given) if len(repr(given)) < 80 else "that"
    if error["type"] == "extra_forbidden":
        return f"{name}: there is no such field; use {', '.join(Wanted.model_fields)}"
    if error["type"].startswith("int"):
        return f"{name} must be a whole number, not {shown}"
    if error["type"].startswith(("float", "finite")):
        return f"{name} must be a number, not {shown}"
    return f"{name}: {error['msg']}; give another than {shown}"
