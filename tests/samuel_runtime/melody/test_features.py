"""Features of a melody: what they hold, and what must not change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samuel_runtime.melody import MELODY_CHANNELS, MelodyTracks, melody_features
from samuel_runtime.melody.features import CHROMA, HEIGHT, ONSET, PITCH_CHANGE, RISE, VOICING

FRAMES = 60


def tracks(seed: int = 0) -> MelodyTracks:
    """Three notes with a gap before the last."""
    rng = np.random.default_rng(seed)
    midi = np.repeat([60.0, 64.0, 67.0], 20) + rng.normal(0, 0.05, FRAMES)
    confidence = np.where((np.arange(FRAMES) >= 36) & (np.arange(FRAMES) < 40), 0.1, 0.95)
    loudness = np.where(confidence > 0.5, -20.0, -45.0)
    return MelodyTracks(440 * 2 ** ((midi - 69) / 12), confidence, loudness, np.zeros(FRAMES))


@settings(deadline=None, max_examples=20)
@given(st.integers(-11, 11))
def test_transposition_rolls_the_pitch_classes_alone(semitones: int) -> None:
    given_tracks = tracks()
    moved = melody_features(replace(given_tracks, f0_hz=given_tracks.f0_hz * 2 ** (semitones / 12)))
    still = melody_features(given_tracks)
    np.testing.assert_allclose(moved[CHROMA], np.roll(still[CHROMA], semitones, axis=0), atol=1e-3)
    np.testing.assert_allclose(moved[HEIGHT:], still[HEIGHT:], atol=1e-3)


def test_a_wrong_octave_changes_the_height_alone() -> None:
    given_tracks = tracks()
    wrong = given_tracks.f0_hz.copy()
    wrong[10:14] *= 2
    found, still = melody_features(replace(given_tracks, f0_hz=wrong)), melody_features(given_tracks)
    assert np.abs(found[HEIGHT] - still[HEIGHT]).max() > 0.9
    found[HEIGHT] = still[HEIGHT]
    np.testing.assert_allclose(found, still, atol=1e-3)


def test_the_gain_of_a_recording_changes_nothing() -> None:
    given_tracks = tracks()
    quieter = melody_features(replace(given_tracks, loudness_db=given_tracks.loudness_db - 20))
    np.testing.assert_allclose(quieter, melody_features(given_tracks), atol=1e-4)


def test_notes_are_seen_where_they_are() -> None:
    found = melody_features(tracks())
    assert found.shape == (MELODY_CHANNELS, FRAMES) and found.dtype == np.float32
    assert list(found[CHROMA, 10].argsort()[-1:]) == [0] and found[CHROMA, 30].argmax() == 4
    assert found[VOICING, 37] == 0 and not found[CHROMA, 37].any()
    assert found[PITCH_CHANGE, 20] == 2 and found[PITCH_CHANGE, 15] < 0.5
    assert found[RISE, 40] > 1 and found[RISE, 30] == 0
    assert not found[ONSET].any()


def test_of_silence_there_is_nothing() -> None:
    nothing = np.zeros(FRAMES)
    assert not melody_features(MelodyTracks(nothing + 220, nothing, nothing - 100, nothing)).any()


def test_curves_of_different_lengths_are_a_defect() -> None:
    with pytest.raises(ValueError, match="confidence"):
        MelodyTracks(np.ones(3), np.ones(2), np.ones(3), np.ones(3))
