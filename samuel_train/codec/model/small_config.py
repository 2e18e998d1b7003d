"""Sizes of the small codec: what ``config.json`` beside its weights says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from samuel_runtime.errors import UserError

CLASS_NAME = "SamuelCodec"
"""What ``config.json`` calls this codec under ``_class_name``."""

_LIMITS = {
    "sample_rate_hz": (8000, 192000),
    "latent_channels": (1, 1024),
    "encoder_width": (1, 2048),
    "encoder_blocks": (0, 32),
    "encoder_latent_width": (1, 2048),
    "encoder_latent_blocks": (0, 32),
    "encoder_long_width": (0, 2048),
    "quietest_db": (-200, -60),
    "decoder_latent_width": (1, 2048),
    "decoder_latent_blocks": (0, 32),
    "decoder_width": (1, 2048),
    "decoder_blocks": (0, 32),
    "low_band_width": (1, 512),
    "high_band_width": (1, 512),
    "partial_width": (1, 2048),
    "expansion": (1, 8),
    "kernel_frames": (1, 63),
}


@dataclass(frozen=True)
class SmallCodecConfig:
    """The defaults give 8.7 million parameters."""

    sample_rate_hz: int = 44100
    """Rate of the waveform it was trained on."""
    latent_channels: int = 64
    """Latents a frame of 2048 samples."""
    encoder_width: int = 192
    """Channels of the encoder at 86 Hz."""
    encoder_blocks: int = 1
    """Blocks of the encoder at 86 Hz."""
    encoder_latent_width: int = 320
    """Channels of the encoder at 21.5 Hz."""
    encoder_latent_blocks: int = 3
    """Blocks of the encoder at 21.5 Hz."""
    encoder_long_width: int = 192
    """Hidden values of what long windows tell the encoder of basses; 0 for none."""
    quietest_db: int = -128
    """What is quieter, over a sine of full scale, the encoder takes for silence."""
    decoder_latent_width: int = 384
    """Channels of the decoder at 21.5 Hz."""
    decoder_latent_blocks: int = 4
    """Blocks of the decoder at 21.5 Hz."""
    decoder_width: int = 384
    """Channels of the decoder at 86 Hz."""
    decoder_blocks: int = 5
    """Blocks of the decoder at 86 Hz."""
    low_band_width: int = 64
    """Hidden values of each band of 32 bins from 0.7 to 5.5 kHz."""
    high_band_width: int = 24
    """Hidden values of each band of 32 bins above."""
    partial_width: int = 384
    """Hidden values of the partials below 0.7 kHz."""
    expansion: int = 2
    """Widening inside a block."""
    kernel_frames: int = 7
    """Reach of a block's convolution; odd."""

    def __post_init__(self) -> None:
        for name, (least, most) in _LIMITS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                raise UserError(f"codec config: {name} must be an integer from {least} to {most}, not {value!r}")
        if self.kernel_frames % 2 == 0:
            raise UserError(f"codec config: kernel_frames must be odd, not {self.kernel_frames}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SmallCodecConfig:
        """Rebuild from the values of ``config.json``.

        Raises:
            UserError: for an unknown key, another codec's class name, or a value out of range, by name.
        """
        values = dict(values)
        class_name = values.pop("_class_name", None)
        if class_name != CLASS_NAME:
            raise UserError(f"codec config: _class_name must be {CLASS_NAME}, not {class_name!r}")
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise UserError(f"codec config: unknown key {', '.join(unknown)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for ``config.json``."""
        return {"_class_name": CLASS_NAME, **asdict(self)}
