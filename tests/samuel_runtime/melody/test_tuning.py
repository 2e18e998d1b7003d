"""A voice that is sharp or flat throughout is heard as if it were in tune."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.melody import MelodyTracks
from samuel_runtime.melody.tuning import in_tune, tuning

SCALE = np.repeat([60, 62, 64, 65, 67, 69, 71, 72], 40)


def sung(midi: np.ndarray, confidence: float = 1.0) -> MelodyTracks:
    ones = np.ones(len(midi))
    return MelodyTracks(440 * 2 ** ((midi - 69) / 12), confidence * ones, -20 * ones, 0 * ones)


@pytest.mark.parametrize("semitones", [-0.45, -0.2, 0.0, 0.3])
def test_a_tuning_is_found_among_vibrato_and_slides(semitones: float) -> None:
    vibrato = 0.3 * np.sin(np.arange(len(SCALE)) * 2 * np.pi / 15)
    slides = np.convolve(np.pad(SCALE, 4, mode="edge"), np.ones(9) / 9, mode="valid")
    voice = sung(slides + vibrato + semitones)
    assert tuning(voice) == pytest.approx(semitones, abs=0.05)
    assert tuning(in_tune(voice)) == pytest.approx(0, abs=0.05)
    np.testing.assert_array_equal(in_tune(voice).loudness_db, voice.loudness_db)


def test_a_voice_that_drifts_through_all_tunings_stays_where_it_is() -> None:
    drifting = np.linspace(60, 62, 4000)
    assert tuning(sung(drifting)) == pytest.approx(0, abs=0.01)


def test_what_is_not_voiced_or_not_steady_has_no_tuning() -> None:
    assert tuning(sung(SCALE + 0.3, confidence=0.2)) == 0.0
    sliding = np.arange(400) * 0.37
    assert tuning(sung(50 + sliding % 24)) == 0.0
    np.testing.assert_array_equal(in_tune(sung(50 + sliding % 24)).f0_hz, sung(50 + sliding % 24).f0_hz)
