"""The packaged bundle's basses are in tune: measured on waveforms. That its bands do not buzz: test_bundle.py."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime import Samuel
from samuel_train.evaluate.metrics.pitch import tone_error_cents
from samuel_train.synth.tones import Note, alone

RATE_HZ, HOP = 44_100, 2048


@pytest.fixture(scope="module")
def samuel() -> Samuel:
    return Samuel.load()


def through_codec(samuel: Samuel, samples: np.ndarray) -> np.ndarray:
    """As a band: encoded with the voice's statistics, and decoded with the band's."""
    frames = -(-len(samples) // HOP)
    statistics = samuel.manifest.statistics
    vocals = samuel.codec.encode(iter([samples]), frames)
    raw = vocals * statistics.vocals_std[:, None] + statistics.vocals_mean[:, None]
    band = (raw - statistics.accompaniment_mean[:, None]) / statistics.accompaniment_std[:, None]
    return np.concatenate(list(samuel.codec.decode(band.astype(np.float32))))[: len(samples)]


def test_basses_alone_are_in_tune(samuel: Samuel) -> None:
    rng = np.random.default_rng(5)
    pitches = rng.permutation(np.arange(40, 52) + rng.uniform(-0.5, 0.5, 12))
    notes = [Note(0.6 * i, 0.6, float(midi)) for i, midi in enumerate(pitches)]
    decoded = through_codec(samuel, alone(rng, notes, RATE_HZ))
    errors = np.array([abs(tone_error_cents(decoded, note, RATE_HZ)) for note in notes])
    assert np.mean(errors <= 30) >= 0.9, errors.round()
