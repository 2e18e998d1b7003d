"""What a recording does to a voice: tone, light compression, a room, a level, a noise floor."""

from __future__ import annotations

import numpy as np

from samuel_train.synth.band.mastering import compress, equalise, finish
from samuel_train.synth.dsp import SAMPLE_RATE_HZ, convolve, from_db, rms, room_response

_TELEPHONE_SHARE = 0.06


def record_voice(rng: np.random.Generator, voice: np.ndarray) -> np.ndarray:
    """A dry voice (samples,) as a microphone in a room hears it: (samples, 2) float32."""
    bright = rng.random() > _TELEPHONE_SHARE
    tone = [
        (40.0, -24.0),
        (float(rng.uniform(60, 120)), -3.0),
        (250.0, float(rng.uniform(-6, 6))),
        (1000.0, float(rng.uniform(-4, 4))),
        (4000.0, float(rng.uniform(-6, 6))),
        (10_000.0, float(rng.uniform(-9, 6)) if bright else -18.0),
        (20_000.0, float(rng.uniform(-9, 1)) if bright else -40.0),
    ]
    near = compress(equalise(voice[:, None], tone), float(rng.uniform(0.2, 0.5)))[:, 0]
    wet = from_db(float(rng.uniform(-30, -8)))
    response = room_response(rng, float(rng.uniform(0.2, 0.8)))
    room = np.stack([convolve(near, response[:, channel]) for channel in range(2)], axis=1)  # (samples, 2)
    vocals = near[:, None] + np.float32(wet) * room
    level_dbfs = float(rng.uniform(-30, -15))
    vocals *= np.float32(from_db(level_dbfs) / max(rms(vocals), 1e-9))
    floor = from_db(level_dbfs - float(rng.uniform(45, 72)))
    return finish(vocals + np.float32(floor) * _floor(rng, len(voice)))


def _floor(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Hiss with a little mains hum, the same on both sides, about unit RMS, (samples, 1)."""
    hiss = rng.standard_normal(samples, dtype=np.float32)
    hum_hz = float(rng.choice([50.0, 60.0]))
    time_s = np.arange(samples, dtype=np.float32) / SAMPLE_RATE_HZ
    hum = np.sin(2 * np.pi * hum_hz * time_s) * float(rng.uniform(0, 0.7))
    return (hiss + hum.astype(np.float32))[:, None]
