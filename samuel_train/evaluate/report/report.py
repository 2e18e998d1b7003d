"""Results as JSON and as a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from samuel_runtime.bundle.manifest import GraphName
from samuel_runtime.files import replacing
from samuel_runtime.pipeline import Samuel
from samuel_train.data.stems import SongFolder
from samuel_train.evaluate.report.rows import Row
from samuel_train.evaluate.scores import METRICS, SOUND
from samuel_train.evaluate.studies.drift import Drift
from samuel_train.evaluate.studies.transposition import Transposition

_VERSION = 2
COLUMNS = (*METRICS[:7], SOUND, *METRICS[7:])
"""Of the table, in their order."""
_WIDTH = 9


@dataclass(frozen=True)
class Subject:
    """What was evaluated."""

    step_graph_sha256: str
    """Which model it was."""
    backend: str
    """Provider and precision."""
    songs: tuple[str, ...]
    """Names, in the order of the values in every row."""

    @classmethod
    def of(cls, samuel: Samuel, songs: Sequence[SongFolder]) -> Subject:
        """Of a loaded bundle and the songs."""
        step = samuel.manifest.graphs[GraphName.STEP]
        return cls(step.sha256, str(samuel.backend), tuple(song.name for song in songs))


@dataclass
class Results:
    """Everything that is known so far."""

    rows: list[Row] = field(default_factory=list)
    """Controls and cases on the songs."""
    transpositions: list[Transposition] = field(default_factory=list)
    """Of every voice that was moved, under every case."""
    drifts: list[Drift] = field(default_factory=list)
    """Of every length of song, the true bands and every case."""


def write_results(path: Path, subject: Subject, results: Results) -> None:
    """Everything as JSON; written whole or not at all, so it can be called after every part.

    Raises:
        UserError: the file cannot be written.
    """
    report = {
        "version": _VERSION,
        "step_graph_sha256": subject.step_graph_sha256,
        "backend": subject.backend,
        "songs": list(subject.songs),
        "meaning": {metric.name: metric.meaning for metric in COLUMNS},
        "rows": [row.to_dict() for row in results.rows],
        "transposition": [one.to_dict() for one in results.transpositions],
        "windows": [one.to_dict() for one in results.drifts],
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    """Means over the songs, a line per row, under a header."""
    width = max(len(row.name) for row in rows)
    lines = [" " * width + "".join(metric.name.rjust(_WIDTH) for metric in COLUMNS)]
    return "\n".join(lines + [row.name.ljust(width) + "".join(_cell(row, m.name) for m in COLUMNS) for row in rows])


def legend() -> str:
    """What the columns mean."""
    return "\n".join(f"{metric.name.ljust(_WIDTH)} {metric.meaning}" for metric in COLUMNS)


def number(metric: str, value: float | None) -> str:
    """A value with the digits that count; ``-`` for none."""
    if value is None:
        return "-"
    sign = "+" if metric == "level" else ""
    digits = {"level": 1, "sound": 2, "clipping": 5}.get(metric, 3)
    return f"{value:{sign}.{digits}f}"


def _cell(row: Row, metric: str) -> str:
    summary = row.summary(metric)
    return number(metric, None if summary is None else summary.mean).rjust(_WIDTH)
