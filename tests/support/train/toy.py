"""Small stand-ins for training tests: latents whose band follows the voice, a codec, a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import nn

from samuel_train.codec.model.base import Codec, SignalFacts
from samuel_train.fit.settings import FitConfig

MODEL = {"base_channels": 8, "time_width": 16, "heads": 2}


def settings(**fit: Any) -> FitConfig:
    """A run of seconds."""
    values = {
        "batch": 4,
        "frames_min": 16,
        "frames_max": 32,
        "max_steps": 8,
        "validation_examples": 4,
        "validate_every_steps": 4,
        "log_every_steps": 1,
        "mixed_precision": "no",
    }
    return FitConfig.from_dict({"model": MODEL, "fit": values | fit})


def write_latents(folder: Path, entries: int = 10, seed: int = 0, songs: list[str] | None = None) -> Path:
    """The two arrays, and an index if ``songs`` names each entry's."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    vocals = rng.standard_normal((entries, 64, 1024), dtype=np.float32)
    band = 0.8 * vocals + 0.6 * rng.standard_normal(vocals.shape, dtype=np.float32)
    np.save(folder / "latent_vocal.npy", 2 * vocals + 3)
    np.save(folder / "latent_accomp.npy", 0.5 * band - 1)
    if songs is not None:
        index = {
            "version": 1,
            "codec": {"location": "a/codec"},
            "entries": [{"song": song, "start_frame": 0, "valid_frames": 1024} for song in songs],
        }
        (folder / "latents.json").write_text(json.dumps(index))
    return folder


class ToyCodec(Codec):
    """Three strided convolutions: a context of some frames, and quick."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(SignalFacts(sample_rate_hz=8000, hop_samples=16), "a test", "none")
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.encoder = nn.Sequential(
                nn.Conv1d(2, 8, 16, stride=16), nn.GELU(), nn.Conv1d(8, 64, 5, padding=2), nn.GELU(),
                nn.Conv1d(64, 64, 3, padding=1),
            ).eval()  # fmt: skip
        self.decoder = nn.Identity()


def write_song(
    folder: Path, stems: dict[str, float], duration_s: float = 2.0, sample_rate_hz: int = 8000, channels: int = 2
) -> dict[str, np.ndarray]:
    """Noise of the given level for each stem, as float WAV; returns what was written, (samples, channels)."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for number, (stem, level) in enumerate(stems.items()):
        rng = np.random.default_rng([number, len(folder.name)])
        samples = level * rng.standard_normal((round(duration_s * sample_rate_hz), channels))
        written[stem] = samples.astype(np.float32)
        soundfile.write(folder / f"{stem}.wav", written[stem], sample_rate_hz, subtype="FLOAT")
    return written
