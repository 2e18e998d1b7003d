"""Onsets of voice and band: together, late, at another tempo, none."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.evaluate.metrics.onsets import onset_agreement
from samuel_train.evaluate.spectra import analysed, onset_strength
from tests.support.train import signals


def _strength(samples: np.ndarray) -> np.ndarray:
    return onset_strength(analysed(samples, signals.RATE_HZ))


@pytest.fixture(scope="module")
def voice() -> np.ndarray:
    """Onset strength of a scale of eight seconds; no constant, for then every process would compute it to collect."""
    return _strength(signals.chords([[60 + step] for step in (0, 2, 4, 5, 7, 9, 11, 12)] * 2, each_s=0.5))


def test_a_band_that_begins_its_notes_with_the_voice_agrees(voice: np.ndarray) -> None:
    clicking = _strength(signals.clicks(120, 8)[0])
    assert onset_agreement(voice, voice) == pytest.approx(1)
    assert onset_agreement(voice, clicking) > 0.5
    assert onset_agreement(voice, 7 * clicking + 3) == pytest.approx(onset_agreement(voice, clicking))


def test_a_frame_late_is_nearly_together_and_a_sixteenth_late_is_not(voice: np.ndarray) -> None:
    assert onset_agreement(voice[:-1], voice[1:]) > 0.7
    assert onset_agreement(voice, _strength(signals.clicks(120, 8, first_s=0.125)[0])) < 0.1


def test_another_tempo_and_noise_are_chance(voice: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    assert abs(onset_agreement(voice, _strength(signals.clicks(83, 8)[0]))) < 0.15
    assert abs(onset_agreement(voice, rng.random(len(voice)))) < 0.15


def test_more_onsets_are_not_more_agreement(voice: np.ndarray) -> None:
    together = onset_agreement(voice, _strength(signals.clicks(120, 8)[0]))
    assert onset_agreement(voice, _strength(signals.clicks(480, 8)[0])) < 0.6 * together


def test_silence_agrees_with_nothing_and_lengths_may_differ(voice: np.ndarray) -> None:
    assert onset_agreement(voice, _strength(signals.silence(8))) == 0
    assert onset_agreement(np.zeros(0), voice) == onset_agreement(voice[:3], voice) == 0
    assert onset_agreement(voice, voice[:150]) == pytest.approx(1)
