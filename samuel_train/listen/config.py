"""Sizes of the estimator."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from samuel_runtime.errors import UserError

_RANGES = {"width": (8, 1024), "octaves": (1, 12), "stacks": (1, 8)}


@dataclass(frozen=True)
class EstimatorConfig:
    """A stack of dilated convolutions.

    Raises:
        UserError: a size is out of range.
    """

    width: int = 96
    """Channels of every layer."""
    octaves: int = 9
    """Layers of a stack; the dilation doubles from one to the next, from 1 on."""
    stacks: int = 2
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
    def from_dict(cls, values: Any) -> EstimatorConfig:
        """Rebuild from JSON values.

        Raises:
            UserError: a name is missing or unknown, or a size is out of range.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise UserError(f"estimator: the config must hold {', '.join(sorted(names))}; train it again")
        return cls(**values)
