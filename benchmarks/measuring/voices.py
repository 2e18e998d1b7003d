"""Voices of any length: the packaged example, over and over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

import samuel_runtime

_EXAMPLE = Path(samuel_runtime.__file__).parent / "assets" / "example_voice.flac"


def write_voice(path: Path, samples: int) -> Path:
    """Write a mono recording of so many samples at 44.1 kHz; the suffix chooses the format."""
    example, rate_hz = soundfile.read(_EXAMPLE, dtype="float32")
    soundfile.write(path, np.resize(example, samples), rate_hz)
    return path
