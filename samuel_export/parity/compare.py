"""Comparison of two runners case by case, and the parity report.

Each case also leaves a fingerprint of PyTorch's result, a few seeded projections, so that a bundle can be
verified later and elsewhere, without its checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from samuel_export.parity.cases import Measure, ParityCase
from samuel_export.parity.runners import ParityRunner
from samuel_runtime.errors import UserError, unhandled

_PROJECTIONS, _BLOCK = 32, 4096
# A projection onto 32 directions estimates a relative error within a factor of 3. It sees root mean squares: in log
# spectra those are 4 times the mean difference, because a few nearly silent bands differ most.
_FINGERPRINT_SLACK = {Measure.RELATIVE_L2: 3.0, Measure.MEAN_ABS: 8.0}


class ParityError(Exception):
    """What was exported does not compute what it was exported from: a defect, not the user's to mend."""


@dataclass(frozen=True)
class Comparison:
    """Outcome of one case."""

    name: str
    """Of the :class:`ParityCase`."""
    measure: Measure
    """Which of the errors below is limited."""
    limit: float
    """Largest error that passes."""
    relative_l2: float
    """Norm of the difference over the norm of the expected result."""
    snr_db: float
    """-20 log10 of ``relative_l2``."""
    max_abs: float
    mean_abs: float
    p99_abs: float
    fingerprint: list[float]
    """See :func:`fingerprint`; of the expected result."""

    @property
    def passed(self) -> bool:
        """Whether the error is within the limit; NaN is not."""
        return self.error <= self.limit

    @property
    def error(self) -> float:
        """The error that is limited."""
        if self.measure is Measure.RELATIVE_L2:
            return self.relative_l2
        if self.measure is Measure.MEAN_ABS:
            return self.mean_abs
        raise unhandled(self.measure)

    def line(self) -> str:
        """One line of text for a terminal."""
        verdict = "ok  " if self.passed else "FAIL"
        if self.measure is Measure.MEAN_ABS:
            return f"{verdict} {self.name}: mean difference {self.mean_abs:.1e} (limit {self.limit:.0e})"
        return (
            f"{verdict} {self.name}: relative L2 {self.relative_l2:.1e} (limit {self.limit:.0e}), {self.snr_db:.0f} dB"
        )


def compare(
    name: str, actual: np.ndarray, expected: np.ndarray, limit: float, measure: Measure = Measure.RELATIVE_L2
) -> Comparison:
    """Compare two results; shapes that differ fail."""
    if actual.shape != expected.shape:
        infinite = float("inf")
        errors = (infinite, -infinite, infinite, infinite, infinite)
        return Comparison(name, measure, limit, *errors, fingerprint(expected))
    error = np.abs(actual.astype(np.float64) - expected)
    relative = float(np.linalg.norm(error)) / max(float(np.linalg.norm(expected.astype(np.float64))), 1e-30)
    return Comparison(
        name=name,
        measure=measure,
        limit=limit,
        relative_l2=relative,
        snr_db=float(-20 * np.log10(max(relative, 1e-30))),
        max_abs=float(error.max()),
        mean_abs=float(error.mean()),
        p99_abs=float(np.quantile(error, 0.99)),
        fingerprint=fingerprint(expected),
    )


def compare_runners(cases: Iterable[ParityCase], actual: ParityRunner, expected: ParityRunner) -> list[Comparison]:
    """Run every case on both runners and compare the results."""
    return [compare(p.name, p.run(actual), p.run(expected), p.limit, p.measure) for p in cases]


def compare_fingerprints(cases: Iterable[ParityCase], actual: ParityRunner, report: dict[str, Any]) -> list[Comparison]:
    """Run every case on the bundle alone, against the fingerprints that its report keeps; one that is missing fails.

    Raises:
        UserError: the report is not one that :func:`build_report` made.
    """
    kept = fingerprints_of(report)
    return [
        compare_fingerprint(case.name, case.run(actual), kept.get(case.name), case.limit, case.measure)
        for case in cases
    ]


def compare_fingerprint(
    name: str,
    result: np.ndarray,
    kept: np.ndarray | None,
    limit: float,
    measure: Measure = Measure.RELATIVE_L2,
) -> Comparison:
    """Compare a result with the fingerprint of what was expected; None, where none was kept, fails."""
    expected = np.full(_PROJECTIONS, np.nan) if kept is None else kept
    # A fingerprint has the L2 norm of the whole result; the mean over its few values needs that of as few.
    scale = (_PROJECTIONS / result.size) ** 0.5
    pair = (scale * np.array(fingerprint(result)), scale * expected)
    return compare(name, *pair, limit * _FINGERPRINT_SLACK[measure], measure)


def fingerprints_of(report: dict[str, Any]) -> dict[str, np.ndarray]:
    """The fingerprints that a report keeps, by name.

    Raises:
        UserError: the report is not one that :func:`build_report` made.
    """
    try:
        return {entry["name"]: np.array(entry["fingerprint"], np.float64) for entry in report.get("probes", [])}
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"the bundle's parity report is damaged ({error!r}); export the bundle again") from error


def fingerprint(result: np.ndarray) -> list[float]:
    """Projections of an array on seeded random signs, scaled to keep its L2 norm on average."""
    flat = result.astype(np.float64).ravel()
    signs = _signs(len(flat))
    projections = np.zeros(_PROJECTIONS)
    for start in range(0, len(flat), _BLOCK):  # whole, the signs would take eight times the memory and twice the time
        block = slice(start, start + _BLOCK)
        projections += signs[:, block].astype(np.float64) @ flat[block]
    return [float(value) for value in projections / _PROJECTIONS**0.5]


@lru_cache(maxsize=4)  # most results of a report have one of two sizes, and drawing takes longer than projecting
def _signs(size: int) -> np.ndarray:
    """int8 (projections, size), 1 or -1."""
    generator = np.random.Generator(np.random.PCG64(size))
    return np.stack([2 * generator.integers(0, 2, size, dtype=np.int8) - 1 for _ in range(_PROJECTIONS)])


def build_report(comparisons: list[Comparison], steps: int) -> dict[str, Any]:
    """The parity report of a manifest, as JSON; ``steps`` are the sampling steps of the trajectory case."""
    return {
        "reference": "PyTorch, float32, unfused, whole songs in one piece",
        "steps": steps,
        "passed": all(one.passed for one in comparisons),
        "probes": [{**asdict(one), "measure": one.measure.value} for one in comparisons],
    }
