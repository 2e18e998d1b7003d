"""Cold start: how long until the command answers, until the library is there, and until the first step is done.

The files are in the system's cache; what is cold is the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.measuring.machine import this_machine
from benchmarks.measuring.pairs import keep_ratios, note, relative_l2
from benchmarks.measuring.process import SAMUEL_RUN, run_script
from benchmarks.runners.denoisers import LIMITS, PUBLISHED, TIMESTEP
from benchmarks.runners.network import GUIDANCE, Paper, latents
from samuel_runtime.settings import Precision

_ROUNDS = 3
_GROUP = "Cold start"
_RUNTIME = "ONNX Runtime fp32"

Script = tuple[str, ...]
"""Python and its arguments."""

_TORCH_STEP = f"""
import sys, numpy, torch
from pathlib import Path
from benchmarks.runners.published import guided, published
from samuel_train.checkpoint import load_checkpoint
model = published(load_checkpoint(Path(sys.argv[1])).build())
x, vocals = (torch.from_numpy(array) for array in numpy.load(sys.argv[2]))
numpy.save(sys.argv[3], guided(model, x, vocals, torch.tensor([{TIMESTEP}]), {GUIDANCE}).numpy())
"""
_SAMUEL_STEP = f"""
import sys, numpy
from samuel_runtime import Samuel
from samuel_runtime.choices import Provider
x, vocals = numpy.load(sys.argv[2])
step = Samuel.load(sys.argv[1], Provider.CPU, int(sys.argv[4])).conditioned(vocals)
numpy.save(sys.argv[3], step(x, [{TIMESTEP}], {GUIDANCE}))
"""


def test_help(benchmark: BenchmarkFixture) -> None:
    """`samuel-run --help` needs neither numpy nor an engine."""
    benchmark.group = _GROUP
    ended = benchmark.pedantic(lambda: run_script(SAMUEL_RUN, "--help"), rounds=_ROUNDS, warmup_rounds=1)
    assert "--guidance" in ended.out
    note(benchmark, "samuel-run --help", peak_mb=ended.peak_mb)


@pytest.mark.parametrize("name", ["import torch", "import samuel_runtime"])
def test_import(benchmark: BenchmarkFixture, name: str) -> None:
    """The library is there."""
    _time(benchmark, name, {script: (script,) for script in ("import torch", "import samuel_runtime")})


@pytest.mark.parametrize("runner", [PUBLISHED, _RUNTIME])
def test_first_step(benchmark: BenchmarkFixture, paper: Paper, tmp_path: Path, runner: str) -> None:
    """From nothing to one guided step of the paper's network, read from its file and written to another."""
    given, theirs, ours = tmp_path / "given.npy", tmp_path / "theirs.npy", tmp_path / "ours.npy"
    np.save(given, np.stack([latents(0), latents(1)]))
    scripts: dict[str, Script] = {
        f"first step, {PUBLISHED}": (_TORCH_STEP, *map(str, (paper.checkpoint, given, theirs))),
        f"first step, {_RUNTIME}": (_SAMUEL_STEP, *map(str, (paper.bundle, given, ours, this_machine().threads))),
    }
    _time(benchmark, f"first step, {runner}", scripts)
    if runner != PUBLISHED:
        error = relative_l2(np.load(ours), np.load(theirs))
        assert error <= LIMITS[Precision.FP32]
        benchmark.extra_info["relative_l2"] = error


def _time(benchmark: BenchmarkFixture, name: str, scripts: Mapping[str, Script]) -> None:
    """Time one of the scripts; any but the first in turn with the first."""
    benchmark.group = _GROUP
    reference = next(iter(scripts))
    seconds: dict[str, list[float]] = {} if name == reference else {reference: []}
    run_script(*scripts[name])  # brings its files into the system's cache

    def run_reference() -> None:
        for other, found in seconds.items():
            found.append(run_script(*scripts[other]).seconds)

    ended = benchmark.pedantic(lambda: run_script(*scripts[name]), setup=run_reference, rounds=_ROUNDS)
    keep_ratios(benchmark, seconds)
    note(benchmark, name, peak_mb=ended.peak_mb)
