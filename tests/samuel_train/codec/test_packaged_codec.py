"""The codec in the package, from which models are made: basses are in tune, alone and under chords and drums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import samuel_train
from samuel_train.codec.model.files import load_small_codec
from samuel_train.codec.model.small import SmallCodec
from samuel_train.evaluate.metrics.frame_lines import frame_lines
from samuel_train.evaluate.metrics.pitch import fundamental_error_cents, tone_error_cents
from samuel_train.synth.tones import Note, alone, chord_over, over_a_bass

pytestmark = pytest.mark.usefixtures("librosa_compiled")

RATE_HZ, HOP = 44_100, 2048


@pytest.fixture(scope="module")
def codec() -> SmallCodec:
    return load_small_codec(Path(samuel_train.__file__).parent / "assets" / "codec")


@torch.no_grad()
def through(codec: SmallCodec, samples: np.ndarray) -> np.ndarray:
    padded = np.pad(samples, ((0, -len(samples) % HOP), (0, 0))).astype(np.float32)
    return codec.decode(codec.encoder(torch.from_numpy(padded.T.copy())[None]))[0].numpy().T[: len(samples)]


def test_the_lowest_basses_alone_are_in_tune(codec: SmallCodec) -> None:
    rng = np.random.default_rng(5)
    notes = [Note(0.6 * i, 0.6, midi) for i, midi in enumerate(rng.permutation(rng.uniform(28, 48, 20)))]
    decoded = through(codec, alone(rng, notes, RATE_HZ))
    errors = np.array([abs(tone_error_cents(decoded, note, RATE_HZ)) for note in notes])
    assert np.mean(errors <= 25) >= 0.95, errors.round()


def test_basses_under_chords_and_drums_are_in_tune_and_nothing_buzzes(codec: SmallCodec) -> None:
    rng = np.random.default_rng(6)
    basses = [Note(float(i), 1.0, midi) for i, midi in enumerate(rng.uniform(28, 48, 24))]
    chords = [chord_over(rng, bass, 3 + index % 3) for index, bass in enumerate(basses)]
    decoded = through(codec, over_a_bass(rng, basses, chords, RATE_HZ))
    errors = np.array([abs(fundamental_error_cents(decoded, note, RATE_HZ)) for note in basses])
    assert np.mean(errors <= 30) >= 0.85, errors.round()
    lines = frame_lines(decoded, RATE_HZ, HOP)
    assert lines.excess_db <= 2 and lines.prominent_share <= 0.06, lines
