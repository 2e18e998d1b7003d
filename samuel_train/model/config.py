"""Sizes and variants of the denoiser: what a checkpoint must carry to be rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from samuel_runtime.diffusion.schedule import TIMESTEPS, Prediction
from samuel_runtime.errors import UserError

LEVELS = 3
"""Times that the U-Net halves the frames and doubles the channels."""
FRAMES_MULTIPLE = 2**LEVELS
"""So a song's frames must be a multiple of this."""


FORMER_KEYS = {"listener_width": "vocal_context_width"}
"""Keys of checkpoints and configs of earlier versions, and what they are called now."""


class Alignment(str, Enum):
    """Which soft alignment attention: the paper's text, or what its published code computes."""

    DOCUMENTED = "documented"
    PUBLISHED_CODE = "published-code"


@dataclass(frozen=True)
class ModelConfig:
    """The denoiser; the defaults give the paper's 15,571,904 parameters."""

    latent_channels: int = 64
    """Channels of the codec's latents."""
    base_channels: int = 64
    """Width C of the first level; the three levels below have 2C, 4C and 8C."""
    time_width: int = 512
    """Width D of the sinusoidal timestep embedding."""
    heads: int = 8
    """Attention heads, at the first level and in the bottleneck."""
    window: int = 16
    """Frames a query sees in local attention: i - window/2 .. i + window/2 - 1."""
    timesteps: int = TIMESTEPS
    """Length of the diffusion schedule."""
    alignment: Alignment = Alignment.DOCUMENTED
    """Variant of soft alignment attention."""
    prediction: Prediction = Prediction.V
    """What the output means to a sampler."""
    standardised_voice: bool = False
    """Whether each channel of a voice is brought to the same mean and deviation over frames, as speech recognisers do
    with cepstra. What stays the same throughout is the microphone, the room and the singer's timbre, and those of
    recordings are unlike those of generated songs. The paper's network takes a voice as it is."""
    vocal_context_width: int = 0
    """Channels of the vocal context encoder, which the paper's network does not have; 0 leaves it out."""
    sheet_width: int = 0
    """Channels of the sheet encoder, through which a lead sheet modulates the U-Net; 0, as in the paper, takes none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "alignment", Alignment(self.alignment))
        object.__setattr__(self, "prediction", Prediction(self.prediction))
        for name in ("latent_channels", "base_channels", "time_width", "heads", "window", "timesteps"):
            value = getattr(self, name)
            if type(value) is not int or not 0 < value <= 65536:
                raise UserError(f"model config: {name} must be an integer between 1 and 65536, not {value!r}")
        for name in ("vocal_context_width", "sheet_width"):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= 65536:
                raise UserError(f"model config: {name} must be an integer between 0 and 65536, not {value!r}")
        if type(self.standardised_voice) is not bool:
            raise UserError(f"model config: standardised_voice must be true or false, not {self.standardised_voice!r}")
        if self.base_channels % (2 * self.heads):
            raise UserError(
                f"model config: base_channels ({self.base_channels}) must be a multiple of "
                f"2 x heads ({2 * self.heads}), because rotary embedding turns channel pairs of each head"
            )
        if self.window % 2 or self.time_width % 2:
            raise UserError("model config: window and time_width must be even")
        if self.alignment is Alignment.PUBLISHED_CODE and self.timesteps > 1000:
            raise UserError(
                f"model config: timesteps must be at most 1000, not {self.timesteps}, with published-code "
                "alignment, whose mixing weights are defined up to t = 999"
            )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Rebuild from JSON or TOML values.

        Raises:
            UserError: for an unknown key or a value out of range, by name.
        """
        if not isinstance(values, dict):
            raise UserError("model config: expected a table of names and values")
        values = with_current_names(values, FORMER_KEYS)
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise UserError(f"model config: unknown key {', '.join(unknown)}")
        try:
            return cls(**values)
        except ValueError as error:
            raise UserError(f"model config: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON or TOML."""
        return {key: value.value if isinstance(value, Enum) else value for key, value in asdict(self).items()}


def with_current_names(values: Mapping[str, Any], former: Mapping[str, str]) -> dict[str, Any]:
    """``values`` with every name that is in ``former`` exchanged for what it says."""
    return {former.get(name, name): value for name, value in values.items()}
