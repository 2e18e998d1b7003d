"""Slopes of known values, and the windows they are taken over."""

from __future__ import annotations

import numpy as np
import pytest

from samuel_runtime.diffusion.windows import Window, windows
from samuel_runtime.settings import Sampler
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.features import Features
from samuel_train.evaluate.scores import Scores, Truth
from samuel_train.evaluate.studies.drift import MEASURES, Drift, measured, settled
from samuel_train.synth.facts import SongFacts
from tests.support.train import signals
from tests.support.train import toy_songs as toy

_SPANS = ((0.0, 40.0), (40.0, 80.0), (80.0, 120.0))  # centres at 1/3, 1 and 5/3 minutes


def _song(level: float, per_minute: float, **others: float) -> list[Scores]:
    return [{"level": level + per_minute * minute, "key": 1.0, **others} for minute in (1 / 3, 1, 5 / 3)]


def _drift(*songs: list[Scores]) -> Drift:
    return Drift(2.0, Case(Sampler.DDIM, 2.0, 4, 7), _SPANS, tuple("abc"[: len(songs)]), songs)


def test_the_slope_is_the_mean_over_songs_with_students_interval() -> None:
    drift = _drift(_song(0, 1), _song(5, 2), _song(-3, 6))
    slope = drift.slope("level")
    assert slope is not None and slope.per_minute == pytest.approx(3)
    assert slope.half_width == pytest.approx(4.3027 * np.std([1, 2, 6], ddof=1) / np.sqrt(3), rel=1e-4)
    steady = drift.slope("key")
    assert steady is not None and (steady.per_minute, steady.half_width) == pytest.approx((0, 0))


def test_one_song_has_a_slope_without_an_interval() -> None:
    slope = _drift(_song(0, 4)).slope("level")
    assert slope is not None and slope.per_minute == pytest.approx(4) and slope.half_width is None


def test_windows_without_a_value_are_left_out() -> None:
    song = _song(0, 0)
    song[0]["tempo"], song[2]["tempo"] = 1.0, 5.0
    drift = _drift(song, _song(0, 0))
    slope = drift.slope("tempo")
    assert slope is not None and slope.per_minute == pytest.approx(3)
    assert [None if one is None else one.mean for one in drift.at("tempo")] == [1.0, None, 5.0]
    assert drift.slope("harmony") is None


def test_the_first_window_is_at_home_and_does_not_count() -> None:
    song = [{"home": 1.0}, {"home": 0.8}, {"home": 0.8}]
    slope = _drift(song).slope("home")
    assert slope is not None and slope.per_minute == pytest.approx(0)


def test_plain_values_hold_windows_slopes_and_songs() -> None:
    values = _drift(_song(0, 1), _song(0, 2)).to_dict()
    assert values["minutes"] == 2 and values["case"]["steps"] == 4 and values["windows_s"][1] == [40, 80]
    level = values["metrics"]["level"]
    assert level["windows"] == pytest.approx([0.5, 1.5, 2.5]) and level["per_minute"] == 1.5
    assert len(level["songs"]) == 2 and values["metrics"]["harmony"]["songs"][0] == [None] * 3
    assert set(values["metrics"]) == {measure.name for measure in MEASURES}


def test_each_window_counts_with_what_it_settles() -> None:
    spans = settled(windows(2584, 1024, 256), 0.05, 129.0)
    assert spans == [(0.0, pytest.approx(44.8)), (pytest.approx(44.8), pytest.approx(83.2)), (pytest.approx(83.2), 129)]
    assert settled([Window(0, 100, 0)], 1.0, 90.0) == [(0.0, 90.0)]
    assert settled([Window(0, 100, 0), Window(50, 100, 25)], 1.0, 140.0) == [(0.0, 75.0), (75.0, 140.0)]
    assert settled([Window(0, 100, 0), Window(4, 100, 71)], 1.0, 104.0) == [(0.0, 104.0)]


def test_a_faster_transposed_and_quieter_window_is_told() -> None:
    band = Features.of(toy.band(), signals.RATE_HZ)
    truth = Truth(band, SongFacts.from_dict(toy.FACTS), 6.0, band.onsets)
    same = measured(truth, band, band)
    assert same["key"] == 1 and (same["harmony"], same["home"], same["level"]) == pytest.approx((1, 1, 0))
    assert abs(same["tempo"]) < 1
    higher = measured(truth, band, Features.of(0.5 * toy.band(transposed=6), signals.RATE_HZ))
    assert higher["key"] == 0 and higher["harmony"] < 0.3 and higher["home"] < 0.3
    assert higher["level"] == pytest.approx(-6.02, abs=0.1)
    faster = measured(truth, band, Features.of(signals.clicks(126, 6)[0], signals.RATE_HZ))
    assert faster["tempo"] == pytest.approx(5, abs=1)
    half = measured(truth, band, Features.of(signals.clicks(60, 6)[0], signals.RATE_HZ))
    assert abs(half["tempo"]) < 2
    assert "tempo" not in measured(truth, band, Features.of(signals.silence(6), signals.RATE_HZ))
