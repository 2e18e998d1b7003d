"""What a run of the benchmarks left in its JSON, as rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One runner of a group."""

    group: str
    """What is computed."""
    runner: str
    """By what."""
    seconds: float
    """Of one call: the median over the rounds, unless the benchmark said otherwise."""
    facts: Mapping[str, Any]
    """What else the benchmark noted; every key that is used here is optional.

    ``ratios``: {other runner: [lower quartile, median, upper quartile] of how many times as long it took}; ``flop`` of
    one call; ``relative_l2`` and ``log_mel``, the difference from what was asserted; ``peak_mb``; ``audio_s``, seconds
    of audio in one call; ``stages``: {name: seconds}; ``frames`` and ``minutes`` of a growing input; ``parameters``.
    """

    def ratio(self, other: str) -> float | None:
        """How many times as long another runner took, the median over the rounds."""
        found = self.facts.get("ratios", {}).get(other)
        return None if found is None else float(found[1])


@dataclass(frozen=True)
class Results:
    """A whole run."""

    machine: Mapping[str, Any]
    """See machine.py."""
    rows: tuple[Row, ...]
    """In the order in which they ran."""
    absent: Mapping[str, str]
    """Names of benchmarks that did not run, with the reason."""

    @property
    def groups(self) -> dict[str, list[Row]]:
        """Rows by group, in order."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.group, []).append(row)
        return found

    @property
    def peak_gflops(self) -> float:
        """The measured float32 matrix peak."""
        return float(self.machine["peak_gflops"]["float32"])

    def find(self, group: str, runner: str) -> Row | None:
        """The first row whose group and runner begin so."""
        return next((r for r in self.rows if r.group.startswith(group) and r.runner.startswith(runner)), None)


def read_results(path: Path) -> Results:
    """Read pytest-benchmark's JSON, as conftest.py completes it."""
    said = json.loads(path.read_text())
    rows = []
    for entry in said["benchmarks"]:
        facts = entry["extra_info"]
        seconds = facts.get("seconds", entry["stats"]["median"])
        rows.append(Row(entry["group"] or entry["name"], facts.get("runner", entry["name"]), seconds, facts))
    return Results(said["machine_info"], tuple(rows), said["absent"])
