"""The whole way with a stand-in bundle that plays the voice: what goes in is known, so every row is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from samuel_runtime.errors import UserError
from samuel_runtime.leadsheet.sheet import LeadSheet
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import Sampler
from samuel_train.data.stems import find_songs
from samuel_train.evaluate.cases import Case, SheetSource, grid
from samuel_train.evaluate.evaluation import EvaluatedAudio, evaluate, recordings
from samuel_train.evaluate.report.rows import Kind, Row
from tests.support.train import signals
from tests.support.train import toy_songs as toy


def _evaluate(root: Path, echo: toy.Echo, cases: list[Case]) -> list[Row]:
    heard: list[EvaluatedAudio] = []
    songs, _ = find_songs(root)
    rows = list(evaluate(cast(Samuel, echo), songs, cases, heard.append))
    assert len(heard) == recordings(songs, cases)
    return rows


def _mean(row: Row, metric: str) -> float:
    summary = row.summary(metric)
    assert summary is not None
    return summary.mean


def test_a_voice_that_is_the_band_reaches_the_truth_and_another_voice_does_not(tmp_path: Path) -> None:
    for name, transposed in (("a", 0), ("b", 6)):
        band = toy.band(transposed)
        toy.write_song(tmp_path / "same" / name, band, band, None)
        toy.write_song(tmp_path / "other" / name, toy.band(6 - transposed), band, None)
    case = Case(Sampler.DDIM, 2.0, 4, seed=5)
    same, other = (_evaluate(tmp_path / folder, toy.Echo(), [case]) for folder in ("same", "other"))
    assert [row.kind for row in same] == [Kind.TRUTH, Kind.CODEC, Kind.OTHER, Kind.CASE]
    truth, ceiling, floor, generated = same
    for row in (truth, ceiling, generated):
        assert _mean(row, "harmony") == pytest.approx(1, abs=1e-6)
        assert _mean(row, "beat") == 1
        assert _mean(row, "onsets") == pytest.approx(1, abs=1e-3)
        assert _mean(row, "sound") == pytest.approx(0, abs=1e-3)
        assert _mean(row, "level") == pytest.approx(0, abs=1e-4)
    assert floor.sound is None and _mean(floor, "harmony") < 0.3
    # Each voice is the other song's band: the generated row is what the floor is.
    for metric in ("key", "harmony", "beat", "level", "width"):
        assert other[3].values(metric) == pytest.approx(floor.values(metric), abs=1e-4)


def test_every_song_draws_its_own_noise(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        toy.write_song(tmp_path / name, signals.noise(3), signals.noise(3, seed=1), None)
    echo = toy.Echo()
    _evaluate(tmp_path, echo, [Case(Sampler.DDIM, 1.5, 4, seed=7), Case(Sampler.DDIM, 1.5, 8, seed=7)])
    assert [(one.steps, one.seed) for one in echo.asked] == [(4, 7), (4, 8), (4, 9), (8, 7), (8, 8), (8, 9)]
    assert {one.guidance for one in echo.asked} == {1.5}


def test_the_floor_is_the_mean_over_the_other_songs(tmp_path: Path) -> None:
    levels = {"a": 0.1, "b": 0.2, "c": 0.4}
    for name, level in levels.items():
        toy.write_song(tmp_path / name, signals.noise(3), signals.noise(3, amplitude=level), None)
    floor = _evaluate(tmp_path, toy.Echo(), [])[2]
    double_db = 20 * np.log10(2)
    assert floor.values("level") == pytest.approx([1.5 * double_db, 0, -1.5 * double_db], abs=1e-3)


def test_more_steps_than_the_schedule_has_are_refused_before_the_work(tmp_path: Path) -> None:
    toy.write_song(tmp_path / "a", signals.noise(3), signals.noise(3), None)
    echo = toy.Echo()
    echo.manifest.model.timesteps = 10
    with pytest.raises(UserError, match=r"^steps must be at most 10, the timesteps of this model's schedule, not 11$"):
        _evaluate(tmp_path, echo, [Case(Sampler.DDIM, 1.0, 11, 0)])
    assert not echo.asked


def test_the_grid_holds_every_combination_once() -> None:
    cases = grid([Sampler.DDIM, Sampler.DPM_SOLVER_2M, Sampler.DDIM], [2.0, 1.0], [8, 4, 8], seed=3)
    assert [(case.sampler, case.guidance, case.steps) for case in cases] == [
        (sampler, guidance, steps)
        for sampler in (Sampler.DDIM, Sampler.DPM_SOLVER_2M)
        for guidance in (1.0, 2.0)
        for steps in (4, 8)
    ]


def test_evaluation_needs_no_torch() -> None:
    code = "import sys, samuel_train.evaluate.evaluation, samuel_train.evaluate.job;sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_bands_play_from_the_sheet_that_is_asked_for(tmp_path: Path) -> None:
    facts = {**toy.FACTS, "beats_s": [0.5, 1.0, 1.5], "downbeats_s": [1.0], "chords": [[0.0, "Am"]]}
    for name in ("a", "b"):
        toy.write_song(tmp_path / name, signals.noise(3), signals.noise(3, seed=1), facts)
    echo = toy.Echo()
    _evaluate(
        tmp_path, echo, [Case(Sampler.DDIM, 2.0, 4, 0, source) for source in (SheetSource.NONE, SheetSource.GIVEN)]
    )
    none, _, given, _ = echo.sheets
    assert none is not None and given is not None
    assert none == LeadSheet(none.duration_s)
    assert (given.beats_s, given.downbeats_s, given.chord_at(1.0)) == ((0.5, 1.0, 1.5), (1.0,), "A:min")


def test_a_sheet_is_refused_where_there_is_none_or_nobody_reads_it(tmp_path: Path) -> None:
    toy.write_song(tmp_path / "a", signals.noise(3), signals.noise(3), None)
    case, echo = Case(Sampler.DDIM, 2.0, 4, 0, SheetSource.GIVEN), toy.Echo()
    with pytest.raises(UserError, match=r"no song\.json"):
        _evaluate(tmp_path, echo, [case])
    echo.manifest.model.sheet_channels = 0
    with pytest.raises(UserError, match="--sheets given: this bundle's model takes no lead sheet"):
        _evaluate(tmp_path, echo, [case])
