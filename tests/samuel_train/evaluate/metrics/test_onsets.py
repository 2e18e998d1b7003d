"""Onsets of voice and band: together, late, at another tempo, none."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_train.evaluate.metrics.onsets import onset_agreement
from samuel_train.evaluate.spectra import analysed, onset_strength
from tests.support.train import signals


def _strength(samples: np.ndarray) -> np.ndarray:
    return onset_strength(analysed(samples, signals.RATE_HZ))


_VOICE = _strength(signals.chords([[60 + step] for step in (0, 2, 4, 5, 7, 9, 11, 12)] * 2, each_s=0.5))


def test_a_band_that_begins_its_notes_with_the_voice_agrees() -> None:
    clicking = _strength(signals.clicks(120, 8)[0])
    assert onset_agreement(_VOICE, _VOICE) == pytest.approx(1)
    assert onset_agreement(_VOICE, clicking) > 0.5
    assert onset_agreement(_VOICE, 7 * clicking + 3) == pytest.approx(onset_agreement(_VOICE, clicking))


def test_a_frame_late_is_nearly_together_and_a_sixteenth_late_is_not() -> None:
    assert onset_agreement(_VOICE[:-1], _VOICE[1:]) > 0.7
    assert onset_agreement(_VOICE, _strength(signals.clicks(120, 8, first_s=0.125)[0])) < 0.1


def test_another_tempo_and_noise_are_chance() -> None:
    rng = np.random.default_rng(0)
    assert abs(onset_agreement(_VOICE, _strength(signals.clicks(83, 8)[0]))) < 0.15
    assert abs(onset_agreement(_VOICE, rng.random(len(_VOICE)))) < 0.15


def test_more_onsets_are_not_more_agreement() -> None:
    together = onset_agreement(_VOICE, _strength(signals.clicks(120, 8)[0]))
    assert onset_agreement(_VOICE, _strength(signals.clicks(480, 8)[0])) < 0.6 * together


def test_silence_agrees_with_nothing_and_lengths_may_differ() -> None:
    assert onset_agreement(_VOICE, _strength(signals.silence(8))) == 0
    assert onset_agreement(np.zeros(0), _VOICE) == onset_agreement(_VOICE[:3], _VOICE) == 0
    assert onset_agreement(_VOICE, _VOICE[:150]) == pytest.approx(1)
