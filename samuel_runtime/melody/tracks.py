"""What a tracker hears in a voice, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, eq=False)
class MelodyTracks:
    """Curves of one voice, float32 (frames,) each; frame i is at (i + 0.5) ``FRAME_S`` of the recording.

    Raises:
        ValueError: if they differ in length, or hold NaN or infinity.
    """

    f0_hz: np.ndarray
    """Fundamental frequency, positive everywhere; where nothing is voiced it means nothing."""
    confidence: np.ndarray
    """That the frame is voiced, 0 .. 1; voiced from 0.5 on."""
    loudness_db: np.ndarray
    """RMS of the 46 ms around the frame, against full scale; at least ``SILENCE_DB``."""
    onset: np.ndarray
    """How much sound begins: spectral flux, 0 where nothing does, around 1 at the attack of a syllable."""

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.asarray(getattr(self, field.name), np.float32)
            if values.shape != (len(self.f0_hz),) or not np.isfinite(values).all():
                raise ValueError(f"{field.name} is no finite curve of {len(self.f0_hz)} frames")
            object.__setattr__(self, field.name, values)

    @property
    def frames(self) -> int:
        """How many."""
        return len(self.f0_hz)
