"""Comparisons and fingerprints: what must fail fails, and a report survives its manifest."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from samuel_export.parity.cases import Measure, ParityCase
from samuel_export.parity.compare import build_report, compare, compare_fingerprints, compare_runners, fingerprint
from samuel_runtime.errors import UserError
from tests.support.weights import normal

LIMIT = 1e-3
EXPECTED = normal(1, 4, 500)


class Fixed:
    """A runner whose network always gives one result."""

    def __init__(self, result: np.ndarray) -> None:
        self.result = result

    def network(
        self, x: np.ndarray, vocals: np.ndarray, t: list[int], guidance: float, sheet: np.ndarray | None = None
    ) -> np.ndarray:
        return self.result

    def encode(self, waveform: np.ndarray) -> np.ndarray:
        return waveform

    def decode(self, latents: np.ndarray) -> np.ndarray:
        return latents


class Passing(Fixed):
    """A runner whose decoder hands its latents on, moved up or down by ``shift``, at random."""

    def __init__(self, shift: float, seed: int = 0) -> None:
        self.shift, self.seed = shift, seed

    def decode(self, latents: np.ndarray) -> np.ndarray:
        return latents + self.shift * np.sign(normal(self.seed, *latents.shape))


def case(name: str = "it", limit: float = LIMIT) -> ParityCase:
    return ParityCase(name, limit, lambda runner: runner.network(EXPECTED, EXPECTED, [0], 1.0))


def changed(relative: float, seed: int = 2) -> np.ndarray:
    """The expected result with noise of this relative L2 norm."""
    noise = normal(seed, *EXPECTED.shape).astype(np.float64)
    return EXPECTED + noise * (relative * np.linalg.norm(EXPECTED) / np.linalg.norm(noise))


def test_numbers_of_a_comparison() -> None:
    one = compare("it", np.array([1.0, 2.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0, 3.0]), 0.3)
    assert one.relative_l2 == pytest.approx(1 / math.sqrt(18))
    assert one.snr_db == pytest.approx(20 * math.log10(math.sqrt(18)))
    assert (one.max_abs, one.mean_abs) == (1.0, 0.25)
    assert one.passed
    assert one.line().startswith("ok   it: relative L2 2.4e-01")


@pytest.mark.parametrize(("relative", "passed"), [(0.0, True), (0.9 * LIMIT, True), (1.1 * LIMIT, False)])
def test_the_limit_decides(relative: float, passed: bool) -> None:
    one = compare("it", changed(relative), EXPECTED, LIMIT)
    assert one.relative_l2 == pytest.approx(relative, rel=1e-6)
    assert one.passed is passed
    assert one.line().startswith("ok" if passed else "FAIL")


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_fail(value: float) -> None:
    broken = EXPECTED.copy()
    broken[1, 7] = value
    for actual, expected in ((broken, EXPECTED), (EXPECTED, broken), (broken, broken)):
        assert not compare("it", actual, expected, 1e30).passed


@pytest.mark.parametrize("actual", [EXPECTED[:, :-1], EXPECTED[:1], EXPECTED[None], EXPECTED.ravel()])
def test_shapes_that_differ_fail(actual: np.ndarray) -> None:
    assert not compare("it", actual, EXPECTED, 1e30).passed


def test_an_expectation_of_zeros_admits_zeros_alone() -> None:
    zeros = np.zeros_like(EXPECTED)
    assert compare("it", zeros, zeros, LIMIT).passed
    assert not compare("it", zeros + 1e-9, zeros, LIMIT).passed


def test_a_fingerprint_keeps_the_norm_and_is_the_same_every_time() -> None:
    assert fingerprint(EXPECTED) == fingerprint(EXPECTED.copy())
    assert np.linalg.norm(fingerprint(EXPECTED)) == pytest.approx(np.linalg.norm(EXPECTED), rel=0.4)


@pytest.mark.parametrize("seed", range(2, 22))
def test_fingerprints_see_ten_times_the_limit_and_forgive_the_limit(seed: int) -> None:
    report = json.loads(json.dumps(build_report(compare_runners([case()], Fixed(EXPECTED), Fixed(EXPECTED)), 3)))
    for relative, passed in ((0.0, True), (LIMIT, True), (10 * LIMIT, False)):
        (one,) = compare_fingerprints([case()], Fixed(changed(relative, seed)), report)
        assert one.passed is passed


@pytest.mark.parametrize(("shift", "passed"), [(0.9, True), (1.1, False), (float("nan"), False)])
def test_a_mean_difference_has_its_own_limit(shift: float, passed: bool) -> None:
    one = compare("it", EXPECTED - shift, EXPECTED, 1.0, Measure.MEAN_ABS)
    assert one.passed is passed
    assert "mean difference" in one.line()


@pytest.mark.parametrize("seed", range(2, 22))
def test_fingerprints_of_spectra_see_twenty_times_the_limit_and_forgive_the_limit(seed: int) -> None:
    """A mean over thirty projections stands for one over thousands of values."""
    spectra = ParityCase("it", LIMIT, lambda runner: runner.decode(np.tile(EXPECTED, (20, 1))), Measure.MEAN_ABS)
    report = build_report(compare_runners([spectra], Passing(0.0), Passing(0.0)), 3)
    assert report["probes"][0]["measure"] == "mean_abs"
    for shift, passed in ((0.0, True), (LIMIT, True), (20 * LIMIT, False)):
        (one,) = compare_fingerprints([spectra], Passing(shift, seed), report)
        assert one.passed is passed


def test_fingerprints_see_one_value_that_changed() -> None:
    report = build_report(compare_runners([case()], Fixed(EXPECTED), Fixed(EXPECTED)), 3)
    broken = EXPECTED.copy()
    broken[3, 99] += 10 * LIMIT * np.linalg.norm(EXPECTED)
    (one,) = compare_fingerprints([case()], Fixed(broken), report)
    assert not one.passed


def test_a_case_without_a_fingerprint_fails() -> None:
    report = build_report(compare_runners([case("another")], Fixed(EXPECTED), Fixed(EXPECTED)), 3)
    for kept in (report, {}):
        (one,) = compare_fingerprints([case()], Fixed(EXPECTED), kept)
        assert not one.passed


def test_a_fingerprint_of_another_length_fails() -> None:
    report = {"probes": [{"name": "it", "fingerprint": fingerprint(EXPECTED)[:1]}]}
    (one,) = compare_fingerprints([case()], Fixed(EXPECTED), report)
    assert not one.passed


@pytest.mark.parametrize(
    "cases", [3, [3], [{}], [{"name": "it"}], [{"name": "it", "fingerprint": ["x"]}], [{"name": []}]]
)
def test_a_damaged_report_is_the_users_to_mend(cases: Any) -> None:
    with pytest.raises(UserError, match="parity report is damaged"):
        compare_fingerprints([case()], Fixed(EXPECTED), {"probes": cases})


@pytest.mark.parametrize(
    ("actual", "passed"), [(lambda: EXPECTED, True), (lambda: changed(1.0), False), (lambda: changed(1e-4), True)]
)
def test_a_report_is_plain_json(actual: Callable[[], np.ndarray], passed: bool) -> None:
    comparisons = compare_runners([case("a"), case("b", 2.0)], Fixed(actual()), Fixed(EXPECTED))
    report = build_report(comparisons, 3)
    assert report["passed"] is passed
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert [entry["name"] for entry in report["probes"]] == ["a", "b"]
    assert len(report["probes"][0]["fingerprint"]) == 32
