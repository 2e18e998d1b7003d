"""Sizes of the estimators."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from samuel_runtime.errors import UserError

_Config = TypeVar("_Config", bound="StackConfig")
_RANGES = {"width": (4, 1024), "octaves": (1, 12), "stacks": (1, 8)}


@dataclass(frozen=True)
class StackConfig:
    """Stacks of dilated convolutions.

    Raises:
        UserError: a size is out of range.
    """

    width: int
    """Channels of every layer."""
    octaves: int
    """Layers of a stack; the dilation doubles from one to the next, from 1 on."""
    stacks: int
    """How many stand one after the other."""

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise UserError(f"estimator: {name} must be a whole number from {least} to {most}, not {value!r}")

    @property
    def dilations(self) -> tuple[int, ...]:
        """Of every layer, in order, in steps of the network."""
        return tuple(2**octave for octave in range(self.octaves)) * self.stacks

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls: type[_Config], values: Any) -> _Config:
        """Rebuild from JSON values.

        Raises:
            UserError: a name is missing or unknown, or a size is out of range.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise UserError(f"estimator: the config must hold {', '.join(sorted(names))}; train it again")
        return cls(**values)


@dataclass(frozen=True)
class EstimatorConfig(StackConfig):
    """Of the estimator of beats."""

    width: int = 96
    octaves: int = 9
    stacks: int = 2


@dataclass(frozen=True)
class ChordConfig(StackConfig):
    """Of the chords' estimator, whose channels are those of every pitch class."""

    width: int = 32
    octaves: int = 6
    stacks: int = 2
