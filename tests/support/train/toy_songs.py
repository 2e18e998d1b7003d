"""Song folders, and a stand-in for a loaded bundle whose band is the voice itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import soundfile

from samuel_runtime.audio.samples import Audio
from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.bundle.statistics import Statistics
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.settings import Settings
from tests.support.train import signals

FACTS: dict[str, Any] = {
    "tonic": "C",
    "mode": "major",
    "tempo_bpm": 120.0,
    "style": "test",
    "beats_s": [0.5 * beat for beat in range(12)],
    "chords": [[0.0, "C"], [1.0, "F"], [2.0, "G"], [3.0, "Am"], [4.0, "F"], [5.0, "C"]],
    "melody": [],
}
"""What :func:`band` plays."""

_CHORDS = ((48, 60, 64, 67), (53, 60, 65, 69), (55, 59, 62, 67), (57, 60, 64, 69), (53, 60, 65, 69), (48, 60, 64, 67))


def band(transposed: int = 0) -> np.ndarray:
    """Six chords of a second over clicks at 120 bpm, float32 (samples, 2)."""
    chords = signals.chords([[midi + transposed for midi in chord] for chord in _CHORDS])
    return chords + 0.3 * signals.clicks(120, 6)[0]


def write_song(folder: Path, vocals: np.ndarray, accompaniment: np.ndarray, facts: dict[str, Any] | None) -> None:
    """A song folder as ``samuel-train synthesize`` writes it; without song.json if ``facts`` is None."""
    folder.mkdir(parents=True)
    for name, stem in (("vocals", vocals), ("accompaniment", accompaniment)):
        soundfile.write(folder / f"{name}.wav", stem, signals.RATE_HZ, subtype="FLOAT")
    if facts is not None:
        (folder / "song.json").write_text(json.dumps({"facts": facts}))


class Echo:
    """Answers like a loaded bundle; its latents are the waveform, cut into frames, and its band is the voice.

    Its windows last six seconds, of which neighbours share 46 ms.
    """

    def __init__(self) -> None:
        channels = 16
        spread = np.linspace(0.5, 2, channels, dtype=np.float32)
        statistics = Statistics(0.1 * spread, spread, -0.2 * spread, 3 * spread, -5.0, 5.0)
        self.manifest = SimpleNamespace(
            codec=SimpleNamespace(sample_rate_hz=signals.RATE_HZ, channels=2, hop_samples=8),
            model=SimpleNamespace(
                side_gain_db=0.0,
                peak_ceiling=None,
                timesteps=800,
                guidance=2.0,
                frames=33_080,
                frames_min=8,
                frames_multiple=8,
                sheet_channels=34,
            ),
            statistics=statistics,
            graphs={GraphName.STEP: SimpleNamespace(sha256="0" * 64)},
        )
        self.backend = "toy"
        self.codec = self
        self.asked: list[Settings] = []
        self.sheets: list[LeadSheet | None] = []

    def encode(self, recording: Any, frames: int | None = None) -> np.ndarray:
        """As Samuel.encode of a recording, or Codec.encode of blocks."""
        if isinstance(recording, Audio):
            recording, frames = recording.blocks(), -(-recording.samples_count // 8)
        samples = np.concatenate(list(recording))
        assert frames is not None
        padded = np.pad(samples, ((0, 8 * frames - len(samples)), (0, 0)))
        latents = padded.reshape(frames, 16).T
        return np.asarray(self.manifest.statistics.normalise_vocals(latents))

    def generate(self, vocals: np.ndarray, settings: Settings, *, sheet: LeadSheet | None = None) -> np.ndarray:
        self.asked.append(settings)
        self.sheets.append(sheet)
        statistics = self.manifest.statistics
        heard = vocals * statistics.vocals_std[:, None] + statistics.vocals_mean[:, None]
        band = self.play(heard.T.reshape(-1, 2), settings.seed)  # (16, frames) -> (samples, 2)
        return np.asarray(statistics.normalise_accompaniment(band.reshape(-1, 16).T))  # back to (16, frames)

    def play(self, voice: np.ndarray, seed: int) -> np.ndarray:
        """The band (samples, 2) for a voice (samples, 2)."""
        return voice

    def decode(self, latents: np.ndarray) -> Iterator[np.ndarray]:
        waveform = self.manifest.statistics.denormalise_accompaniment(latents).T.reshape(-1, 2)
        yield from (waveform[:1000].astype(np.float32), waveform[1000:].astype(np.float32))


class Deaf(Echo):
    """Its band is the same for every voice; the seed transposes it."""

    def play(self, voice: np.ndarray, seed: int) -> np.ndarray:
        played = band(transposed=seed)
        return np.tile(played, (len(voice) // len(played) + 1, 1))[: len(voice)]


class Fading(Echo):
    """Its band is the voice, three decibels quieter every six seconds."""

    def play(self, voice: np.ndarray, seed: int) -> np.ndarray:
        seconds = np.arange(len(voice)) / signals.RATE_HZ
        return voice * 10 ** (-0.5 * seconds[:, None] / 20)


class Climbing(Echo):
    """Its band is the true one at first, and a semitone higher in every window of six seconds."""

    def play(self, voice: np.ndarray, seed: int) -> np.ndarray:
        count = -(-len(voice) // (6 * signals.RATE_HZ))
        return np.concatenate([band(transposed=step) for step in range(count)])[: len(voice)]


class Hurrying(Echo):
    """Its band clicks at 120 beats a minute at first, and 5 % faster in every window of six seconds."""

    def play(self, voice: np.ndarray, seed: int) -> np.ndarray:
        count = -(-len(voice) // (6 * signals.RATE_HZ))
        return np.concatenate([signals.clicks(120 * 1.05**step, 6)[0] for step in range(count)])[: len(voice)]
