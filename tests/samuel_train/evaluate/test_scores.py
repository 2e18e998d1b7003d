"""One recording against the truth: the true band, a transposed one, a late one, silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from samuel_train.evaluate.features import Features
from samuel_train.evaluate.scores import METRICS, Scores, Truth
from samuel_train.synth.facts import SongFacts
from tests.support.train import signals
from tests.support.train import toy_songs as toy

_BAND = toy.band()


def _scores(samples: np.ndarray, written: dict[str, Any] = toy.FACTS) -> Scores:
    return _judge(_BAND, SongFacts.from_dict(written), samples)


def _judge(band: np.ndarray, facts: SongFacts | None, samples: np.ndarray) -> Scores:
    heard = Features.of(band, signals.RATE_HZ)
    truth = Truth(heard, facts, len(band) / signals.RATE_HZ, heard.onsets)  # whose voice sings with the band
    return truth.judge(Features.of(samples, signals.RATE_HZ))


def test_the_true_band_is_right_in_everything() -> None:
    scores = _scores(_BAND)
    assert set(scores) == {metric.name for metric in METRICS}
    assert scores["key"] == scores["tones"] == scores["tempo"] == 1 and scores["level"] == 0
    assert scores["harmony"] == pytest.approx(1)
    assert scores["chords"] > 0.7 and scores["beat"] > 0.9
    assert scores["onsets"] == pytest.approx(1)


def test_what_is_written_counts_not_what_the_true_band_sounds_like() -> None:
    chords = [
        [start_s, name]
        for (start_s, _), name in zip(toy.FACTS["chords"], ("F#", "B", "C#", "D#m", "B", "F#"), strict=True)
    ]
    late_s = [beat_s + 0.25 for beat_s in toy.FACTS["beats_s"]]
    scores = _scores(_BAND, toy.FACTS | {"tonic": "F#", "chords": chords, "beats_s": late_s, "tempo_bpm": 90.0})
    assert scores["key"] == scores["tempo"] == 0
    assert scores["chords"] < 0.3 and scores["beat"] < 0.3
    assert scores["harmony"] == pytest.approx(1)


def test_without_written_facts_the_true_band_is_the_truth() -> None:
    band = toy.band(transposed=2)
    scores, other = _judge(band, None, band), _judge(band, None, toy.band(transposed=8))
    assert "chords" not in scores
    assert scores["key"] == scores["beat"] == scores["tempo"] == 1
    assert scores["harmony"] == pytest.approx(1)
    assert other["key"] == 0 and other["harmony"] < 0.3


def test_a_transposed_band_has_the_beat_without_the_harmony() -> None:
    scores = _scores(toy.band(transposed=6))
    assert scores["beat"] > 0.9 and scores["tempo"] == 1
    assert scores["key"] == scores["tones"] == 0 and scores["harmony"] < 0.3 and scores["chords"] < 0.3


def test_a_late_band_has_the_key_without_the_beat() -> None:
    late = np.roll(_BAND, round(0.25 * signals.RATE_HZ), axis=0)
    scores = _scores(late)
    assert scores["key"] == 1 and scores["tempo"] == 1 and scores["beat"] < 0.3 and scores["onsets"] < 0.1


def test_a_quiet_or_silent_band_is_told_by_its_level() -> None:
    assert _scores(0.5 * _BAND)["level"] == pytest.approx(-6.02, abs=0.05)
    silent = _scores(signals.silence(6))
    assert silent["level"] < -40 and silent["silence"] == 1
    assert silent["key"] == silent["harmony"] == silent["beat"] == silent["onsets"] == silent["tempo"] == 0
