"""How the benchmarks measure: pairs, processes and the fit over song lengths."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, sleep
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.measuring.pairs import relative_l2, time_beside
from benchmarks.measuring.process import run_script
from benchmarks.suite.test_growth import residual


class _Benchmark:
    """Stands for pytest-benchmark's fixture, which does not time under pytest-xdist."""

    disabled = False

    def __init__(self) -> None:
        self.extra_info: dict[str, Any] = {}
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=[]))

    def pedantic(self, work: Callable[[], None], setup: Callable[[], None], rounds: int) -> None:
        for _ in range(rounds):
            setup()
            start = perf_counter()
            work()
            self.stats.stats.data.append(perf_counter() - start)


def test_pairs_alternate_and_each_timed_call_follows_one_of_its_own() -> None:
    benchmark, calls = _Benchmark(), []

    def reference() -> None:
        calls.append("reference")
        sleep(0.03)

    def runner() -> None:
        calls.append("runner")
        sleep(0.01)

    time_beside(cast("BenchmarkFixture", benchmark), runner, {"other": reference}, rounds=3)
    assert calls == ["reference", "reference", "runner", "runner"] * 3
    low, middle, high = benchmark.extra_info["ratios"]["other"]
    assert 1.5 < low <= middle <= high < 6


def test_a_process_reports_its_own_peak_not_its_parents() -> None:
    ballast = np.ones(50_000_000, np.float32)  # 200 MB here
    ended = run_script("import sys; block = bytearray(60_000_000); print(sys.argv[1])", "hello")
    assert ballast[-1] == 1
    assert ended.out.strip() == "hello"
    assert ended.seconds > 0
    if ended.peak_mb:  # 0 where there is no /proc
        assert 60 < ended.peak_mb < 150


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="no such thing"):
        run_script("raise SystemExit('no such thing')")


def test_the_residual_of_a_line_is_zero_and_of_a_square_is_not() -> None:
    x = np.array([1.0, 2.0, 4.0, 8.0])
    assert residual(x, 0.5 + 2 * x) < 1e-9
    assert residual(x, x**2) > 0.3


def test_relative_l2_is_relative_to_what_is_expected() -> None:
    assert relative_l2(np.array([3.0, 4.0]), np.array([0.0, 4.0])) == pytest.approx(0.75)
