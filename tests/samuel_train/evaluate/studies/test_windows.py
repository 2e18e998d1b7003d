"""Long songs with bands that hold what they have, climb, hurry or fade."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Sampler
from samuel_train.data.stems import Skipped, find_songs
from samuel_train.evaluate.cases import Case
from samuel_train.evaluate.studies.drift import Drift
from samuel_train.evaluate.studies.windows import drifts, spans_of
from tests.support.train import toy_songs as toy

_MINUTES = 0.3
_CASE = Case(Sampler.DDIM, 2.0, 4, seed=5)


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs of twice six chords, the second without facts and so not to be looped, the third long."""
    root = tmp_path_factory.mktemp("stems")
    facts: dict[str, Any] = toy.FACTS | {"beats_s": [0.5 * beat for beat in range(24)], "chords": []}
    band = np.tile(toy.band(), (2, 1))
    toy.write_song(root / "a", band, band, facts)
    toy.write_song(root / "b", band, band, None)
    toy.write_song(root / "c", np.tile(band, (2, 1)), np.tile(band, (2, 1)), None)
    return root


def _made(stems: Path, echo: toy.Echo) -> tuple[list[Skipped], Drift, Drift]:
    heard: list[None] = []
    songs, _ = find_songs(stems)
    made = list(drifts(cast(Samuel, echo), songs, _MINUTES, [_CASE], lambda: heard.append(None)))
    assert len(heard) == 3 + 2
    skipped = [one for one in made if isinstance(one, Skipped)]
    truth, band = (one for one in made if isinstance(one, Drift))
    return skipped, truth, band


def _slope(drift: Drift, measure: str) -> float:
    slope = drift.slope(measure)
    assert slope is not None
    return slope.per_minute


def test_a_band_that_is_the_voice_does_not_drift_and_is_what_the_truth_is(stems: Path) -> None:
    skipped, truth, band = _made(stems, toy.Echo())
    assert [one.song for one in skipped] == ["b"] and "no bars to loop are known" in skipped[0].reason
    assert truth.case is None and band.case == _CASE and truth.songs == band.songs == ("a", "c")
    assert len(band.spans_s) == 3 and band.spans_s[-1][1] == 18
    steady = {"key": 1e-6, "harmony": 1e-3, "home": 0.1, "tempo": 3, "level": 1e-3}
    for measure, most in {**steady, "click": 10}.items():  # a chord of six seconds has few attacks
        assert abs(_slope(band, measure)) <= most, measure
        assert _slope(band, measure) == pytest.approx(_slope(truth, measure), abs=1e-2), measure


def test_a_band_that_climbs_loses_key_and_harmony_alone(stems: Path) -> None:
    _, _, band = _made(stems, toy.Climbing())
    assert _slope(band, "key") < -1 and _slope(band, "harmony") < -1
    (first, *later) = (summary.mean for summary in band.at("home") if summary is not None)
    assert first == pytest.approx(1) and max(later) < 0.6
    assert abs(_slope(band, "tempo")) < 3 and abs(_slope(band, "level")) < 1


def test_a_band_that_hurries_drifts_in_tempo(stems: Path) -> None:
    _, _, band = _made(stems, toy.Hurrying())
    assert _slope(band, "tempo") > 30  # five per cent in six seconds


def test_a_band_that_fades_drifts_in_level_alone(stems: Path) -> None:
    _, _, band = _made(stems, toy.Fading())
    assert _slope(band, "level") == pytest.approx(-30, abs=1.5)
    assert abs(_slope(band, "key")) < 1e-6 and abs(_slope(band, "harmony")) < 0.05 and abs(_slope(band, "tempo")) < 3


def test_songs_that_cannot_be_made_long_make_no_row(tmp_path: Path) -> None:
    for name in ("a", "b"):
        toy.write_song(tmp_path / name, toy.band(), toy.band(), None)
    songs, _ = find_songs(tmp_path)
    made = list(drifts(cast(Samuel, toy.Echo()), songs, _MINUTES, [_CASE], lambda: None))
    assert [one.song for one in made if isinstance(one, Skipped)] == ["a", "b"] and len(made) == 2


def test_a_length_of_one_window_is_refused() -> None:
    with pytest.raises(UserError, match=r"--windows 0\.1: is one window of this bundle, 6\.0 s; give more minutes"):
        spans_of(cast(Samuel, toy.Echo()).manifest, 0.1)
