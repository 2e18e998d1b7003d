"""Beats of a click track: found, late, at other tempos."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.evaluate.metrics.beats import beat_score, click_offset_ms, tempo_agrees, tempo_bpm, track_beats
from samuel_train.evaluate.spectra import analysed, onset_strength
from tests.support.train import signals


def _beats(samples: np.ndarray) -> np.ndarray:
    return track_beats(onset_strength(analysed(samples, signals.RATE_HZ)))


@pytest.mark.parametrize("bpm", [97.0, 120.0])
def test_a_click_track_is_followed(bpm: float) -> None:
    samples, beats_s = signals.clicks(bpm, 15, first_s=0.3)
    found_s = _beats(samples)
    assert beat_score(beats_s, found_s) > 0.95
    assert tempo_bpm(found_s) == pytest.approx(bpm, rel=0.01)
    assert beat_score(beats_s + 0.1, found_s) == 0


def test_another_tempo_hits_few_beats() -> None:
    _, beats_s = signals.clicks(120, 15)
    assert beat_score(beats_s, _beats(signals.clicks(89, 15)[0])) < 0.45


def test_silence_has_no_beats() -> None:
    found_s = _beats(signals.silence(5))
    assert len(found_s) == 0 and tempo_bpm(found_s) == 0
    assert beat_score(np.arange(5.0), found_s) == beat_score(found_s, np.arange(5.0)) == 0
    assert not tempo_agrees(120, 0) and not tempo_agrees(0, 0)


@pytest.mark.parametrize(
    ("estimated", "agrees"),
    [(120, True), (124, True), (126, False), (115, False), (60, True), (241, True), (90, False), (180, False)],
)
def test_tempo_within_four_per_cent_of_an_octave(estimated: float, agrees: bool) -> None:
    assert tempo_agrees(120, estimated) is agrees


def test_tempo_is_finer_than_frames() -> None:
    frames_s = np.round(np.arange(40) * 60 / 131 / 0.0232) * 0.0232
    assert tempo_bpm(frames_s) == pytest.approx(131, rel=0.007)


def test_attacks_are_late_by_what_they_are_late() -> None:
    beats_s = np.arange(0, 30, 0.5)
    others_s = beats_s + 0.25  # eighths are near no beat
    played_s = np.sort(np.concatenate([beats_s + 0.012, others_s]))
    assert click_offset_ms(played_s, beats_s) == pytest.approx(12)
    assert click_offset_ms(beats_s[::4] - 0.02, beats_s) == pytest.approx(-20)
    assert np.isnan(click_offset_ms(others_s, beats_s)) and np.isnan(click_offset_ms(np.zeros(0), beats_s))
