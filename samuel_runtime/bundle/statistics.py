"""Per-channel statistics of the latents: the space the denoiser works in."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from samuel_runtime.errors import UserError

_VECTORS = ("vocals_mean", "vocals_std", "accompaniment_mean", "accompaniment_std")


@dataclass(frozen=True, eq=False)
class Statistics:
    """Means and standard deviations over the training split, and the clamp range of the sampler."""

    vocals_mean: np.ndarray
    """(channels,) float32."""
    vocals_std: np.ndarray
    """(channels,) float32, positive."""
    accompaniment_mean: np.ndarray
    """(channels,) float32."""
    accompaniment_std: np.ndarray
    """(channels,) float32, positive."""
    clamp_min: float
    """Smallest value of the normalised accompaniment."""
    clamp_max: float
    """Largest value of the normalised accompaniment."""

    def __post_init__(self) -> None:
        for name in _VECTORS:
            with np.errstate(over="ignore"):  # what single precision cannot hold is refused below, as infinite
                vector = np.asarray(getattr(self, name), dtype=np.float32)
            if vector.ndim != 1 or vector.size != np.asarray(self.vocals_mean).size:
                raise UserError(f"statistics: {name} must be one number per channel")
            if not np.isfinite(vector).all() or (name.endswith("std") and not (vector > 0).all()):
                raise UserError(f"statistics: {name} holds a value that is not finite or not positive")
            object.__setattr__(self, name, vector)
        for name in ("clamp_min", "clamp_max"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if not (np.isfinite([self.clamp_min, self.clamp_max]).all() and self.clamp_min < self.clamp_max):
            raise UserError("statistics: the clamp range must be finite, clamp_min below clamp_max")

    @property
    def channels(self) -> int:
        """Number of latent channels."""
        return len(self.vocals_mean)

    @property
    def clamp(self) -> tuple[float, float]:
        """The range of the normalised accompaniment."""
        return self.clamp_min, self.clamp_max

    def normalise_vocals(self, latents: np.ndarray) -> np.ndarray:
        """(..., channels, frames) codec latents of vocals to z-scores."""
        return (latents - self.vocals_mean[:, None]) / self.vocals_std[:, None]

    def normalise_accompaniment(self, latents: np.ndarray) -> np.ndarray:
        """(..., channels, frames) codec latents of accompaniment to z-scores."""
        return (latents - self.accompaniment_mean[:, None]) / self.accompaniment_std[:, None]

    def denormalise_accompaniment(self, latents: np.ndarray) -> np.ndarray:
        """(..., channels, frames) z-scores back to codec latents."""
        return latents * self.accompaniment_std[:, None] + self.accompaniment_mean[:, None]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; float32 survives the round trip exactly."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: v.tolist() if isinstance(v, np.ndarray) else v for key, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Statistics:
        """Rebuild from :meth:`to_dict`.

        Raises:
            UserError: for a missing, unknown, misshaped or non-finite entry.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise UserError(f"statistics: expected exactly the entries {', '.join(sorted(names))}")
        try:
            return cls(**values)
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"statistics: {error}") from error
