"""How a worker is started: its one argument, as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class RenderConfig(BaseModel):
    """Of a worker that makes bands."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["render"] = "render"
    bundle: str | None
    """Absolute path of the folder; None is the packaged bundle."""
    provider: str
    threads: int | None


class InspectConfig(BaseModel):
    """Of a worker that reads recordings through."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["inspect"] = "inspect"
    longest_s: float
    """Longer recordings are refused."""


WorkerConfig = RenderConfig | InspectConfig

_PARSER: TypeAdapter[RenderConfig | InspectConfig] = TypeAdapter(
    Annotated[RenderConfig | InspectConfig, Field(discriminator="kind")]
)


def parse_config(argument: str) -> WorkerConfig:
    """From the argument."""
    return _PARSER.validate_json(argument)
