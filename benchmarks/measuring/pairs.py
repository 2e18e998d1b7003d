"""Runners timed in turn, round by round, because a machine's speed drifts; ratios are medians over rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.measuring.machine import this_machine

Work = Callable[[], Any]


@dataclass(frozen=True)
class Runner:
    """An implementation of what a group computes: PyTorch, or a backend of the runtime."""

    name: str
    """As the report shows it."""
    work: Work
    """Computes it once and returns the result."""
    flop: float
    """Floating point operations of one call, matrix work only, by this runner's own graph."""


def relative_l2(actual: np.ndarray, expected: np.ndarray) -> float:
    """Norm of the difference over the norm of what is expected."""
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def time_beside(benchmark: BenchmarkFixture, work: Work, references: Mapping[str, Work], rounds: int) -> None:
    """Time some work, each round after the same number of every reference, and keep the ratios.

    Every timed call follows an untimed call of the same runner: what ran before it has left other data in the caches
    and threads that still spin.

    Args:
        benchmark: the fixture; its ``extra_info["ratios"]`` becomes how many times as long each reference took,
            as [lower quartile, median, upper quartile] over the rounds.
        work: the runner.
        references: runners to compare with, by name.
        rounds: how often everything is timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in references}

    def run_references() -> None:
        for name, reference in references.items():
            seconds[name].append(_second_call_s(reference))
        work()

    benchmark.pedantic(work, setup=run_references, rounds=rounds)
    keep_ratios(benchmark, seconds)


def keep_ratios(benchmark: BenchmarkFixture, seconds: Mapping[str, list[float]]) -> None:
    """Keep how many times as long references took, timed one round each before every round of the benchmark."""
    if not benchmark.disabled:
        own = timed(benchmark)
        benchmark.extra_info["ratios"] = {
            name: np.quantile(np.array(times) / own, (0.25, 0.5, 0.75)).tolist() for name, times in seconds.items()
        }


def timed(benchmark: BenchmarkFixture) -> np.ndarray:
    """Seconds of every round; of a benchmark that is not disabled."""
    assert benchmark.stats is not None
    return np.array(benchmark.stats.stats.data)


def note(benchmark: BenchmarkFixture, runner: str, **facts: Any) -> None:
    """Keep what the report needs of a runner, and print its line.

    Args:
        benchmark: the fixture, after timing.
        runner: the runner's name.
        facts: see report.py; among them ``flop`` and ``relative_l2``.
    """
    benchmark.extra_info.update(runner=runner, **facts)
    if benchmark.disabled:
        return
    info = benchmark.extra_info
    seconds = facts.get("seconds", float(np.median(timed(benchmark))))
    line = [f"{runner}: {seconds:.4g} s"]
    line += [f"{name} takes {ratio[1]:.2f} times as long" for name, ratio in info.get("ratios", {}).items()]
    if "flop" in facts:
        gflops = facts["flop"] / seconds / 1e9
        peak = this_machine().peak_gflops["float32"]
        line.append(f"{gflops:.0f} GFLOP/s, {gflops / peak:.0%} of the float32 matrix peak")
    if "relative_l2" in facts:
        line.append(f"relative L2 {facts['relative_l2']:.1e}")
    print("\n" + ", ".join(line))


def _second_call_s(work: Work) -> float:
    work()
    start = perf_counter()
    work()
    return perf_counter() - start
