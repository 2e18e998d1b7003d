"""Longer songs: `samuel-run` takes time in proportion and the same memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.measuring.machine import this_machine
from benchmarks.measuring.pairs import note, timed
from benchmarks.measuring.process import SAMUEL_RUN, run_script
from benchmarks.measuring.voices import write_voice

MINUTES = (1, 2, 4, 8)
_RATE_HZ = 44_100
_ROUNDS = 2
_MOST_RESIDUAL = 0.15
"""Of the fitted time; windows are whole, so a minute is not always the same work."""
_MOST_GROWTH_MB = 40.0


@pytest.fixture(scope="module")
def measured() -> dict[int, tuple[float, float]]:
    """Minutes to (seconds, peak MB): what the tests below find, in order."""
    return {}


@pytest.mark.parametrize("minutes", MINUTES)
def test_a_song(
    benchmark: BenchmarkFixture, measured: dict[int, tuple[float, float]], tmp_path: Path, minutes: int
) -> None:
    """One length."""
    benchmark.group = "`samuel-run` by song length, packaged bundle, with a mix"
    voice = write_voice(tmp_path / "voice.flac", minutes * 60 * _RATE_HZ)
    outputs = ("--output", tmp_path / "band.wav", "--mix", tmp_path / "mix.wav")
    options = ("--provider", "cpu", "--threads", str(this_machine().threads), "--json")
    ended = benchmark.pedantic(lambda: run_script(SAMUEL_RUN, voice, *outputs, *options), rounds=_ROUNDS)
    stages = json.loads(ended.out)["takes"][0]["seconds"]
    if not benchmark.disabled:
        measured[minutes] = float(timed(benchmark).min()), ended.peak_mb
    note(benchmark, f"{minutes} min", peak_mb=ended.peak_mb, minutes=minutes, stages=stages)


def test_time_grows_in_proportion_and_memory_does_not(measured: dict[int, tuple[float, float]]) -> None:
    """Seconds lie on a line over minutes, and the longest song needs the memory of the shortest."""
    if len(measured) < len(MINUTES):
        pytest.skip("needs the times of all lengths")
    seconds, peaks = (np.array(column) for column in zip(*(measured[minutes] for minutes in MINUTES), strict=True))
    assert residual(np.array(MINUTES), seconds) <= _MOST_RESIDUAL
    assert peaks.max() - peaks[0] <= _MOST_GROWTH_MB


def residual(x: np.ndarray, y: np.ndarray) -> float:
    """Largest distance of a point from the line of the least relative squares, as a fraction of the line."""
    design = np.stack([np.ones(len(x)), x], axis=1)
    line = design @ np.linalg.lstsq(design / y[:, None], np.ones(len(y)), rcond=None)[0]
    return float(np.abs(y / line - 1).max())
