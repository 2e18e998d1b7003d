"""One guided denoising step of the paper's network, by every runner; and how its time grows with the song."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.measuring.pairs import note, relative_l2, time_beside
from benchmarks.runners.denoisers import BACKENDS, EAGER, PUBLISHED, REFERENCES, RUNNERS, Steps
from benchmarks.runners.network import FRAMES

_ROUNDS = 11
_LENGTHS = (256, 512, FRAMES)
_SHORT = 128
_MOST_GROWTH = 1.5
"""Times as long as in proportion to the frames: global attention's scores grow with their square."""


@pytest.mark.parametrize("name", RUNNERS)
def test_guided_step(benchmark: BenchmarkFixture, steps: Steps, name: str) -> None:
    """Every runner computes the same step."""
    benchmark.group = "A guided step of 47.5 s, the paper's network"
    runner = steps.open(name)
    error = relative_l2(runner.work(), steps.open(PUBLISHED if name == EAGER else EAGER).work())
    assert error <= steps.limit(name)
    references = {other: steps.open(other).work for other in REFERENCES if other != name}
    time_beside(benchmark, runner.work, references, _ROUNDS)
    note(benchmark, name, flop=runner.flop, relative_l2=error, parameters=steps.parameters)


@pytest.mark.parametrize("frames", _LENGTHS)
@pytest.mark.parametrize("name", [PUBLISHED, *BACKENDS])
def test_guided_step_grows_with_frames(benchmark: BenchmarkFixture, steps: Steps, name: str, frames: int) -> None:
    """A longer song takes longer in proportion, or a little more."""
    benchmark.group = "A guided step by length"
    runner, short = steps.open(name, frames), steps.open(name, _SHORT)
    error = relative_l2(np.array(runner.work()), steps.open(EAGER, frames).work())
    assert error <= steps.limit(name)
    time_beside(benchmark, runner.work, {f"{_SHORT} frames": short.work}, _ROUNDS)
    note(benchmark, f"{name}, {frames} frames", flop=runner.flop, relative_l2=error, frames=frames)
    if not benchmark.disabled:
        growth = 1 / benchmark.extra_info["ratios"][f"{_SHORT} frames"][1]
        assert growth <= _MOST_GROWTH * frames / _SHORT
