"""What the default sampler, its number of steps and its timesteps were chosen by, on one short voice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.measuring.pairs import note
from benchmarks.steps import EXAMPLE, SAMPLERS, RenderRequest, Study, study
from samuel_runtime.audio.samples import Audio
from samuel_runtime.diffusion.samplers import timesteps_for
from samuel_runtime.pipeline import Samuel
from samuel_runtime.settings import DEFAULT_SAMPLER, DEFAULT_STEPS, Provider, Sampler

_GROUP = "Sampling 5.9 s, packaged bundle, and the distance from the many-step limit"
_FRAMES, _SEEDS, _LIMIT_STEPS = 128, 2, 200
_COUNTS = (4, 8, 16, 50)
_FEW = 8
"""Where the spacing of the timesteps matters most."""


@pytest.fixture(scope="module")
def samuel() -> Samuel:
    """The packaged bundle on the reference backend."""
    return Samuel.load(provider=Provider.CPU)


@pytest.fixture(scope="module")
def vocals(samuel: Samuel) -> np.ndarray:
    """The beginning of the packaged voice."""
    return samuel.encode(Audio.read(EXAMPLE))[:, :_FRAMES]


@pytest.fixture(scope="module")
def found(samuel: Samuel, vocals: np.ndarray) -> Study:
    """A small study, with the default number of steps in it."""
    counts = sorted({*_COUNTS, DEFAULT_STEPS})
    return study(samuel, {"example": vocals}, range(_SEEDS), counts, (_FEW,), _LIMIT_STEPS)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_default_steps(
    benchmark: BenchmarkFixture, samuel: Samuel, vocals: np.ndarray, found: Study, sampler: Sampler
) -> None:
    """Time each sampler at the default number of steps, and hold the study to what the defaults rest on."""
    benchmark.group = _GROUP
    take = RenderRequest(samuel, vocals, seed=0)
    timesteps = timesteps_for(sampler, samuel.denoiser.schedule, DEFAULT_STEPS)
    benchmark.pedantic(lambda: take.latents(sampler, timesteps), rounds=3, warmup_rounds=1)
    row = found.row(sampler, DEFAULT_STEPS)
    note(benchmark, f"{sampler.value}, {DEFAULT_STEPS} steps", relative_l2=row.distance, log_mel=row.log_mel)
    falling = [found.row(sampler, count).distance for count in _COUNTS]
    assert all(finer < 0.8 * coarser for coarser, finer in pairwise(falling)), falling
    if sampler is DEFAULT_SAMPLER:
        assert row.distance < 0.6 * found.row(Sampler.DDIM, DEFAULT_STEPS).distance
        assert found.row(sampler, _FEW).distance < 0.8 * found.row(sampler, _FEW, "trailing").distance
        assert row.log_mel < 0.1 * found.another_seed[1]
